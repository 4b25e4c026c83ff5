/** The generic resources of this node, and what a container needs to use those it was given. */
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf, messageOf, SwarmError } from '../../lib/errors.ts';
import type { Logger } from '../../lib/log.ts';
import type { DeviceRequest, GenericResource } from '../../types/index.ts';
import { joined, noEdits, parseCdi, type CdiEdits, type CdiSpec } from './cdi.ts';
import { namesAskedFor } from './requests.ts';
import { kindOf, resourceEnv } from './resources.ts';

export type DeviceEdits = CdiEdits;

interface NodeDevicesOptions {
  /** What the daemon was told that the node has. */
  readonly own: readonly GenericResource[];
  /** Where vendors put their files. */
  readonly cdiFolders: readonly string[];
}

const specBytesMax = 1024 * 1024;

export class NodeDevices {
  readonly #options: NodeDevicesOptions;
  readonly #log: Logger;
  /** By kind and name. */
  #cdi: ReadonlyMap<string, ReadonlyMap<string, CdiEdits>> = new Map();
  #told = '';
  readonly #troubles = new Map<string, string>();
  /** What each file said when it could be read last. */
  readonly #good = new Map<string, CdiSpec>();
  /** Called when `resources` tells others than before. */
  onChange: () => void = () => undefined;

  constructor(options: NodeDevicesOptions, log: Logger) {
    this.#options = options;
    this.#log = log.child({ module: 'device' });
  }

  /** Looks which devices there are now. */
  async refresh(): Promise<void> {
    const kinds = new Map<string, Map<string, CdiEdits>>();
    for (const folder of this.#options.cdiFolders) {
      for (const path of await specsIn(folder)) {
        const spec = await this.#read(path);
        if (spec === undefined) continue;
        const devices = kinds.get(spec.kind) ?? new Map<string, CdiEdits>();
        for (const [name, edits] of spec.devices) devices.set(name, edits);
        kinds.set(spec.kind, devices);
      }
    }
    this.#cdi = kinds;
    const told = JSON.stringify(this.resources());
    const isChange = told !== this.#told;
    this.#told = told;
    if (isChange) this.onChange();
  }

  /**
   * As the managers are told; "all", which is other devices over again, is none of its own. One
   * that
   * has several names, such as a number and a serial number, goes by one of them.
   */
  resources(): readonly GenericResource[] {
    const { own } = this.#options;
    const ofVendors = [...this.#cdi].flatMap(([kind, devices]) => {
      if (own.some((one) => one.discrete?.kind === kind)) return [];
      const named = own.flatMap((one) => (kindOf(one) === kind && one.named ? [one.named] : []));
      const offered = new Set(named.map(({ value }) => this.#identityOf(kind, value)));
      return [...devices.keys()]
        .filter((name) => name !== 'all')
        .toSorted(numbersFirst)
        .filter((name) => {
          const identity = this.#identityOf(kind, name);
          return !offered.has(identity) && offered.add(identity);
        })
        .toSorted()
        .map((value): GenericResource => ({ named: { kind, value } }));
    });
    return [...own, ...ofVendors];
  }

  /** What tells one device from another, whatever the names that it was claimed by. */
  identitiesOf(claimed: readonly GenericResource[]): readonly string[] {
    return claimed.flatMap(({ named }) =>
      named === undefined ? [] : [this.#identityOf(named.kind, named.value)],
    );
  }

  /** A device is its nodes on this host, where it has any. */
  #identityOf(kind: string, name: string): string {
    const nodes = this.#cdi.get(kind)?.get(name)?.devices ?? [];
    const own = nodes.length === 0 ? name : distinctPaths(nodes.map((node) => node.pathOnHost));
    return `${kind}=${own}`;
  }

  /** Vendors' devices as people ask for them: "vendor.com/gpu=0". */
  names(): readonly string[] {
    return [...this.#cdi]
      .flatMap(([kind, devices]) => [...devices.keys()].map((name) => `${kind}=${name}`))
      .toSorted();
  }

  /** Throws `failed-precondition` for a device that is there no more. */
  given(claimed: readonly GenericResource[]): DeviceEdits {
    if (claimed.length === 0) return noEdits;
    const edits = claimed.map(({ named }) => {
      const devices = this.#cdi.get(named?.kind ?? '');
      if (named === undefined || devices === undefined) return noEdits;
      const found = devices.get(named.value);
      if (found !== undefined || this.#isOwn(named)) return found ?? noEdits;
      throw new SwarmError(
        'failed-precondition',
        `the device ${named.kind}=${named.value} is not on this node any more`,
      );
    });
    const all = joined(edits);
    return { ...all, env: [...resourceEnv(claimed), ...all.env] };
  }

  /** For a person's container, which reserves nothing: the files are looked at again. */
  async requested(requests: readonly DeviceRequest[]): Promise<DeviceEdits> {
    if (requests.length === 0) return noEdits;
    await this.refresh();
    const edits = namesAskedFor(requests, this.names()).map((asked) => {
      const [kind = '', name = ''] = asked.split('=', 2);
      return this.#cdi.get(kind)?.get(name) ?? noEdits;
    });
    return joined(edits);
  }

  #isOwn({ kind, value }: { readonly kind: string; readonly value: string }): boolean {
    return this.#options.own.some((one) => one.named?.kind === kind && one.named.value === value);
  }

  /**
   * A file that cannot be used offers what it did before, and is told of once: while a vendor's
   * tool
   * writes it anew, no task must lose its device.
   */
  async #read(path: string) {
    try {
      if ((await stat(path)).size > specBytesMax) {
        throw new SwarmError('invalid-argument', 'it is too large');
      }
      const spec = parseCdi(await readFile(path, 'utf8'));
      this.#troubles.delete(path);
      this.#good.set(path, spec);
      return spec;
    } catch (error) {
      const trouble = messageOf(error);
      if (this.#troubles.get(path) !== trouble) {
        this.#troubles.set(path, trouble);
        this.#log.warn('the devices of a CDI file cannot be used', { path, error: trouble });
      }
      return this.#good.get(path);
    }
  }
}

function distinctPaths(paths: readonly string[]): string {
  return [...new Set(paths)].toSorted().join();
}

/** Short names are what people know their devices by. */
function numbersFirst(a: string, b: string): number {
  const isNumber = (name: string) => Number(/^\d+(?::\d+)?$/.test(name));
  return isNumber(b) - isNumber(a) || (a < b ? -1 : 1);
}

async function specsIn(folder: string): Promise<readonly string[]> {
  try {
    const names = await readdir(folder);
    return names
      .filter((name) => /\.(?:json|ya?ml)$/.test(name))
      .toSorted()
      .map((name) => join(folder, name));
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return [];
    throw error;
  }
}
