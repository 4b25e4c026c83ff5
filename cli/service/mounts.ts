/** Docker's --mount syntax: `type=bind,source=/a,target=/b,readonly`. */
import { own } from '../../lib/own.ts';
import type { Mount } from '../../types/index.ts';
import { booleanWords } from '../command/flags.ts';
import { parseBytes, parseCsv, splitPair } from '../format/parse.ts';
import type { Draft } from './draft.ts';

type MountDraft = Draft<Mount>;

const types = ['bind', 'volume', 'tmpfs', 'npipe', 'cluster', 'image'] as const;
const propagations = ['private', 'rprivate', 'shared', 'rshared', 'slave', 'rslave'] as const;

/** Reads one key into the mount. */
type Setter = (mount: MountDraft, value: string, key: string) => void;

const setters: Readonly<Record<string, Setter>> = {
  type: (mount, value, key) => (mount.type = wordOf(types, value, key)),
  source: (mount, value) => (mount.source = value),
  target: (mount, value) => (mount.target = value),
  readonly: (mount, value, key) => (mount.readOnly = truth(value, key)),
  consistency: (mount, value) => (mount.consistency = value.toLowerCase()),
  'bind-propagation': (mount, value, key) =>
    ((mount.bindOptions ??= {}).propagation = wordOf(propagations, value, key)),
  'bind-nonrecursive': (mount, value, key) =>
    ((mount.bindOptions ??= {}).nonRecursive = truth(value, key)),
  'bind-create-src': (mount, value, key) =>
    ((mount.bindOptions ??= {}).createMountpoint = truth(value, key)),
  'bind-recursive': (mount, value, key) => {
    const options = (mount.bindOptions ??= {});
    if (value === 'disabled') options.nonRecursive = true;
    else if (value === 'writable') options.readOnlyNonRecursive = true;
    else if (value === 'readonly') options.readOnlyForceRecursive = true;
    else if (value !== 'enabled') {
      throw new Error(
        `invalid value for ${key}: ${value} (must be "enabled", "disabled", "writable", or "readonly")`,
      );
    }
  },
  'volume-nocopy': (mount, value, key) => ((mount.volumeOptions ??= {}).noCopy = truth(value, key)),
  'volume-subpath': (mount, value) => ((mount.volumeOptions ??= {}).subpath = value),
  'volume-label': (mount, value) => {
    const [name, text = ''] = splitPair(value);
    ((mount.volumeOptions ??= {}).labels ??= {})[name] = text;
  },
  'volume-driver': (mount, value) =>
    (((mount.volumeOptions ??= {}).driverConfig ??= {}).name = value),
  'volume-opt': (mount, value) => {
    const [name, text = ''] = splitPair(value);
    (((mount.volumeOptions ??= {}).driverConfig ??= {}).options ??= {})[name] = text;
  },
  'image-subpath': (mount, value) => ((mount.imageOptions ??= {}).subpath = value),
  'tmpfs-size': (mount, value) => ((mount.tmpfsOptions ??= {}).sizeBytes = parseBytes(value)),
  'tmpfs-mode': (mount, value, key) => {
    if (!/^[0-7]+$/.test(value)) throw new Error(`invalid value for ${key}: ${value}`);
    (mount.tmpfsOptions ??= {}).mode = parseInt(value, 8);
  },
};

const synonyms: Readonly<Record<string, string>> = {
  src: 'source',
  dst: 'target',
  destination: 'target',
  ro: 'readonly',
};
const switches = ['readonly', 'volume-nocopy', 'bind-nonrecursive', 'bind-create-src'];

/** Throws an Error that names the key that is wrong. */
export function parseMount(text: string): Mount {
  const mount: MountDraft = { type: 'volume', target: '' };
  for (const field of parseCsv(text)) {
    const [written, given] = splitPair(field);
    const lower = written.trim().toLowerCase();
    const key = own(synonyms, lower) ?? lower;
    const set = own(setters, key);
    if (set === undefined) throw new Error(`unexpected key '${written}' in '${field}'`);
    if (given === undefined && !switches.includes(key)) {
      throw new Error(`invalid field '${field}' must be a key=value pair`);
    }
    set(mount, given ?? 'true', written);
  }
  check(mount);
  return mount;
}

function check(mount: MountDraft): void {
  if (mount.target === '') throw new Error('target is required');
  if (mount.type === 'bind' && !mount.source) throw new Error('source is required for type=bind');
  const groups = [
    ['volumeOptions', 'volume'],
    ['imageOptions', 'image'],
    ['bindOptions', 'bind'],
    ['tmpfsOptions', 'tmpfs'],
  ] as const;
  for (const [options, type] of groups) {
    if (mount[options] !== undefined && mount.type !== type) {
      throw new Error(`cannot mix '${type}-*' options with mount type '${mount.type}'`);
    }
  }
}

function wordOf<const W extends readonly string[]>(
  words: W,
  value: string,
  key: string,
): W[number] {
  const found = words.find((word) => word === value.toLowerCase());
  if (found === undefined) throw new Error(`invalid value for ${key}: ${value}`);
  return found;
}

function truth(value: string, key: string): boolean {
  if (!booleanWords.includes(value)) throw new Error(`invalid value for ${key}: ${value}`);
  return /^[1t]/i.test(value);
}
