/**
 * Links on the network bridge, as Docker has had them from its first days: a container knows
 * another one by names in its /etc/hosts and by variables. On networks that people have made links
 * are names that the resolver gives to one container only: those are not kept here.
 */
import { messageOf, SwarmError } from '../../lib/errors.ts';
import type { Logger } from '../../lib/log.ts';
import type { ContainerFiles } from '../executor/container-files.ts';
import { bridgeId } from './joining.ts';
import { baseName, linkEnv, parseLink } from './link-words.ts';
import type { Standalone } from './standalone.ts';
import { isRunning, type ContainerLink, type ContainerRecord } from './view.ts';

interface LinksDeps {
  /** Of this node, by their ids. */
  readonly containers: ReadonlyMap<string, Standalone>;
  /** By a name, an id, or the beginning of one. */
  readonly find: (nameOrId: string) => Standalone | undefined;
  readonly files: Pick<ContainerFiles, 'setHost'>;
  readonly log: Logger;
}

/** A link of a container that is here, and what it leads to, if that is here. */
interface Found {
  readonly link: ContainerLink;
  readonly target: Standalone | undefined;
}

export class Links {
  readonly #deps: LinksDeps;

  constructor(deps: LinksDeps) {
    this.#deps = deps;
  }

  /**
   * Of a new container: none where its network is one that people have made. Throws
   * `invalid-argument` in Docker's words.
   */
  of(networkMode: string, wanted: readonly string[]): Pick<ContainerRecord, 'links'> {
    if (wanted.length === 0) return {};
    if (networkMode === 'host') throw conflict('host type networking');
    if (networkMode.startsWith('container:')) throw conflict('container type network');
    if (networkMode !== bridgeId && networkMode !== 'none') return {};
    const links = new Map<string, ContainerLink>();
    for (const text of wanted) {
      const { name, alias } = parseLink(text);
      const { id, record } = this.#target(name);
      // The first of a name stays.
      if (!links.has(alias)) links.set(alias, { alias, containerId: id, name: record.name });
    }
    return { links: [...links.values()] };
  }

  /** Before the container starts. Throws in Docker's words where a link leads nowhere. */
  check(record: ContainerRecord): void {
    for (const { link, target } of this.#all(record)) {
      const name = target?.record.name ?? link.name;
      if (target !== undefined && !isOnBridge(target.record)) {
        throw new SwarmError(
          'internal',
          `Cannot link to /${name}, as it does not belong to the default network`,
        );
      }
      if (target !== undefined && addressOf(target) !== undefined) continue;
      throw new SwarmError(
        'internal',
        `Cannot link to a non running container: /${name} AS ${pathOf(record, link)}`,
      );
    }
  }

  /** Lines for /etc/hosts; what does not run has none. */
  hosts(record: ContainerRecord): readonly string[] {
    return this.#reached(record).map(({ link, target, address }) => {
      const { name, config } = target.record;
      const alias = baseName(link.alias);
      return `${address} ${[alias, config.hostname, ...(alias === name ? [] : [name])].join(' ')}`;
    });
  }

  /** Variables; the container's own come before them. */
  env(record: ContainerRecord): readonly string[] {
    const own = new Set((record.config.env ?? []).map((entry) => entry.split('=', 1)[0]));
    const all = this.#reached(record).flatMap(({ link, target, address }) =>
      linkEnv({
        alias: link.alias,
        path: pathOf(record, link),
        address,
        exposedPorts: target.record.config.exposedPorts ?? [],
        env: target.record.config.env ?? [],
      }),
    );
    return all.filter((entry) => !own.has(entry.split('=', 1)[0]));
  }

  /** "/db:/web/data", as `inspect` shows them. */
  shown(record: ContainerRecord): readonly string[] {
    return (record.links ?? []).map((link) => {
      const name = this.#deps.containers.get(link.containerId)?.record.name ?? link.name;
      return `/${name}:${pathOf(record, link)}`;
    });
  }

  /** What others' links call the container: "web/data". */
  namesOf(id: string): readonly string[] {
    return [...this.#to(id)].map(([{ record }, link]) => `${record.name}/${link.alias}`);
  }

  /** By the name of a link: "web/data". */
  find(name: string): Standalone | undefined {
    const found = this.#named(name);
    return found && this.#deps.containers.get(found[1].containerId);
  }

  /** The container has come to an address: those that have links to it are told. */
  async moved({ id, record, state }: Pick<Standalone, 'id' | 'record' | 'state'>): Promise<void> {
    const address = addressOf({ state });
    if (address === undefined) return;
    // What it has links to may itself have moved while this one was about to start.
    for (const { link, address: present } of this.#reached(record)) {
      await this.#setHost(id, baseName(link.alias), present);
    }
    for (const [parent, { alias }] of this.#to(id)) {
      if (isRunning(parent.state)) await this.#setHost(parent.id, baseName(alias), address);
    }
  }

  /** Takes a link away, of a container that may be running. Throws in Docker's words. */
  async remove(name: string): Promise<void> {
    const found = this.#named(name);
    if (found === undefined) {
      throw new SwarmError(
        'internal',
        'Conflict, cannot remove the default link name of the container',
      );
    }
    const [parent, { alias }] = found;
    parent.change(({ links = [], ...rest }) => ({
      ...rest,
      links: links.filter((link) => link.alias !== alias),
    }));
    if (isRunning(parent.state)) await this.#setHost(parent.id, baseName(alias), undefined);
  }

  /** Those that it has links to, and that are to run before it. */
  targetsOf({ links = [] }: ContainerRecord): readonly Standalone[] {
    return links.flatMap(({ containerId }) => this.#deps.containers.get(containerId) ?? []);
  }

  #target(name: string): Standalone {
    let target = this.#find(name, name);
    for (;;) {
      const { networkMode } = target.record.host;
      if (networkMode === 'host') throw conflict('host type networking');
      if (!networkMode.startsWith('container:')) return target;
      target = this.#find(networkMode.slice('container:'.length), name);
    }
  }

  #find(nameOrId: string, asked: string): Standalone {
    const why =
      nameOrId === '' ? 'invalid name or ID supplied: ""' : `No such container: ${nameOrId}`;
    const target = nameOrId === '' ? undefined : this.#deps.find(nameOrId);
    if (target !== undefined) return target;
    // Not `not-found`, of which clients think that it is the image that is missing.
    throw new SwarmError('invalid-argument', `could not get container for ${asked}: ${why}`);
  }

  /** Links have effect on the network bridge only. */
  #all(record: ContainerRecord): readonly Found[] {
    if (!isOnBridge(record)) return [];
    const { containers } = this.#deps;
    return (record.links ?? []).map((link) => ({ link, target: containers.get(link.containerId) }));
  }

  #reached(record: ContainerRecord) {
    return this.#all(record).flatMap(({ link, target }) => {
      const address = target && addressOf(target);
      return target === undefined || address === undefined ? [] : [{ link, target, address }];
    });
  }

  *#to(id: string): Iterable<readonly [Standalone, ContainerLink]> {
    for (const container of this.#deps.containers.values()) {
      for (const link of container.record.links ?? []) {
        if (link.containerId === id) yield [container, link];
      }
    }
  }

  #named(name: string): readonly [Standalone, ContainerLink] | undefined {
    const [, parentName = '', alias = ''] = /^\/?([^/]+)\/+(.+)$/.exec(name) ?? [];
    if (alias === '') return undefined;
    for (const parent of this.#deps.containers.values()) {
      if (parent.record.name !== parentName) continue;
      // Names of links may themselves begin with a slash.
      const link = parent.record.links?.find((one) => one.alias.replace(/^\/+/, '') === alias);
      return link && [parent, link];
    }
    return undefined;
  }

  async #setHost(id: string, name: string, address: string | undefined): Promise<void> {
    try {
      await this.#deps.files.setHost(id, name, address);
    } catch (error) {
      // It may end at this very moment; what starts next finds out for itself.
      this.#deps.log.warn('a link could not be written into the hosts file of a container', {
        containerId: id,
        name,
        error: messageOf(error),
      });
    }
  }
}

function isOnBridge({ networks }: ContainerRecord): boolean {
  return networks.some(({ network }) => network === bridgeId);
}

/** None of one that is to run again: it may come to another. */
function addressOf({ state }: Pick<Standalone, 'state'>): string | undefined {
  if (state.status !== 'running' && state.status !== 'paused') return undefined;
  const bridge = state.connected?.find(({ networkId }) => networkId === bridgeId);
  return bridge?.addresses.find((cidr) => !cidr.includes(':'))?.split('/')[0];
}

function pathOf({ name }: ContainerRecord, { alias }: ContainerLink): string {
  return `/${name}/${alias.replace(/^\/+/, '')}`;
}

function conflict(what: string): SwarmError {
  return new SwarmError(
    'invalid-argument',
    `conflicting options: ${what} can't be used with links. This would result in undefined behavior`,
  );
}
