/** Files of the Container Device Interface: what a container needs to use a vendor's device. */
import { createRequire } from 'node:module';
import type * as Yaml from 'yaml';
import { SwarmError } from '../../lib/errors.ts';
import type { DeviceMapping, Mount } from '../../types/index.ts';
import type { OciHook } from '../runtime/runtime.ts';

// Loaded with the first file: most hosts have none, and its parser takes 2 MB.
const load = createRequire(import.meta.url);
const yaml = () => load('yaml') as typeof Yaml;

/** The specification's, in the order in which they are read: later ones win. */
export const cdiFolders: readonly string[] = ['/etc/cdi', '/var/run/cdi'];

/** What is changed about a container. */
export interface CdiEdits {
  readonly devices: readonly DeviceMapping[];
  readonly env: readonly string[];
  readonly mounts: readonly Mount[];
  /** By the names that the OCI runtime has for them. */
  readonly hooks: readonly (OciHook & { readonly hookName: string })[];
  readonly groups: readonly string[];
}

export interface CdiSpec {
  /** "vendor.com/gpu". */
  readonly kind: string;
  /** With what is common to all of the file's devices. */
  readonly devices: ReadonlyMap<string, CdiEdits>;
}

export const noEdits: CdiEdits = { devices: [], env: [], mounts: [], hooks: [], groups: [] };

const kindPattern = /^[a-zA-Z0-9][a-zA-Z0-9.-]*\/[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;
const namePattern = /^[a-zA-Z0-9][a-zA-Z0-9_.:-]*$/;
const hookNames = [
  'prestart',
  'createRuntime',
  'createContainer',
  'startContainer',
  'poststart',
  'poststop',
];
const editKeys = ['deviceNodes', 'env', 'mounts', 'hooks', 'additionalGids'];

type Fields = Readonly<Record<string, unknown>>;

/** JSON or YAML. Throws `invalid-argument` that names what is wrong, or cannot be done here. */
export function parseCdi(text: string): CdiSpec {
  let whole: Fields;
  try {
    whole = fieldsOf(yaml().parse(text), 'the file');
  } catch (error) {
    if (error instanceof SwarmError) throw error;
    throw new SwarmError('invalid-argument', 'it is neither JSON nor YAML', { cause: error });
  }
  const kind = textOf(whole['kind'], 'kind');
  if (!kindPattern.test(kind)) throw invalid(`its kind "${kind}" is not VENDOR/CLASS`);
  const common = editsOf(whole['containerEdits'], 'containerEdits');
  const devices = new Map<string, CdiEdits>();
  for (const [index, entry] of listOf(whole['devices'], 'devices').entries()) {
    const at = `devices[${index}]`;
    const device = fieldsOf(entry, at);
    const name = textOf(device['name'], `${at}.name`);
    if (!namePattern.test(name)) throw invalid(`${at}.name "${name}" is no name of a device`);
    const own = editsOf(device['containerEdits'], `${at}.containerEdits`);
    devices.set(name, joined([common, own]));
  }
  return { kind, devices };
}

/** What several devices have in common is done once. */
export function joined(all: readonly CdiEdits[]): CdiEdits {
  return {
    devices: distinct(all.flatMap(({ devices }) => devices)),
    env: distinct(all.flatMap(({ env }) => env)),
    mounts: distinct(all.flatMap(({ mounts }) => mounts)),
    hooks: distinct(all.flatMap(({ hooks }) => hooks)),
    groups: distinct(all.flatMap(({ groups }) => groups)),
  };
}

function distinct<T>(items: readonly T[]): readonly T[] {
  return [...new Map(items.map((item) => [JSON.stringify(item), item])).values()];
}

function editsOf(value: unknown, at: string): CdiEdits {
  if (value === undefined || value === null) return noEdits;
  const edits = fieldsOf(value, at);
  const unknown = Object.keys(edits).find((key) => !editKeys.includes(key));
  if (unknown !== undefined) throw invalid(`${at}.${unknown} is not supported by this version`);
  return {
    devices: listOf(edits['deviceNodes'], `${at}.deviceNodes`).map(deviceOf),
    env: listOf(edits['env'], `${at}.env`).map((one) => textOf(one, `${at}.env`)),
    mounts: listOf(edits['mounts'], `${at}.mounts`).map(mountOf),
    hooks: listOf(edits['hooks'], `${at}.hooks`).map(hookOf),
    groups: listOf(edits['additionalGids'], `${at}.additionalGids`).map((one) =>
      String(numberOf(one, `${at}.additionalGids`)),
    ),
  };
}

function deviceOf(value: unknown): DeviceMapping {
  const device = fieldsOf(value, 'a device node');
  const path = pathOf(device['path'], 'the path of a device node');
  const { hostPath, permissions, fileMode, uid, gid } = device;
  const number = (name: string, given: unknown) =>
    given === undefined ? {} : { [name]: numberOf(given, `${name} of ${path}`) };
  return {
    pathOnHost: hostPath === undefined ? path : pathOf(hostPath, `the host's path of ${path}`),
    pathInContainer: path,
    permissions: permissions === undefined ? 'rwm' : textOf(permissions, `permissions of ${path}`),
    ...number('fileMode', fileMode),
    ...number('uid', uid),
    ...number('gid', gid),
  };
}

function mountOf(value: unknown): Mount {
  const mount = fieldsOf(value, 'a mount');
  const target = pathOf(mount['containerPath'], 'the path of a mount');
  const source = pathOf(mount['hostPath'], `the host's path of ${target}`);
  const options = listOf(mount['options'], `options of ${target}`);
  // Libraries and sockets of the host: whatever else the file says, they stay what they are.
  return { type: 'bind', source, target, readOnly: options.includes('ro') };
}

function hookOf(value: unknown): CdiEdits['hooks'][number] {
  const hook = fieldsOf(value, 'a hook');
  const hookName = textOf(hook['hookName'], 'the name of a hook');
  if (!hookNames.includes(hookName)) throw invalid(`there are no hooks named ${hookName}`);
  const words = (name: string) =>
    hook[name] === undefined
      ? {}
      : { [name]: listOf(hook[name], name).map((one) => textOf(one, `${name} of a hook`)) };
  return {
    hookName,
    path: pathOf(hook['path'], 'the path of a hook'),
    ...words('args'),
    ...words('env'),
    ...(hook['timeout'] === undefined ? {} : { timeout: numberOf(hook['timeout'], 'timeout') }),
  };
}

function fieldsOf(value: unknown, at: string): Fields {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Fields;
  throw invalid(`${at} is not an object`);
}

function listOf(value: unknown, at: string): readonly unknown[] {
  if (value === undefined || value === null) return [];
  if (Array.isArray(value)) return value as unknown[];
  throw invalid(`${at} is not a list`);
}

function textOf(value: unknown, at: string): string {
  if (typeof value === 'string') return value;
  throw invalid(`${at} is not a text`);
}

function pathOf(value: unknown, at: string): string {
  const path = textOf(value, at);
  if (!path.startsWith('/')) throw invalid(`${at}, "${path}", is not an absolute path`);
  return path;
}

function numberOf(value: unknown, at: string): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  throw invalid(`${at} is not a number from 0 up`);
}

function invalid(message: string): SwarmError {
  return new SwarmError('invalid-argument', message);
}
