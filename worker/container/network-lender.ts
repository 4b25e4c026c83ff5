/** Networks for what runs beside the containers for a while: the steps of a build. */
import { readFile } from 'node:fs/promises';
import { SwarmError } from '../../lib/errors.ts';
import { readIfThere, resolvFile } from '../executor/container-files.ts';
import type { NetworkDriver } from '../network/network.ts';
import {
  bridgeId,
  Joining,
  taskNetworkOf,
  type OwnNetworks,
  type Place,
  type SwarmNetworks,
} from './joining.ts';
import type { ContainerView } from './view.ts';

interface NetworkLenderDeps {
  readonly network: NetworkDriver;
  readonly ownNetworks: OwnNetworks;
  readonly swarmNetworks: SwarmNetworks;
  /** A container that runs. Throws SwarmError. */
  readonly running: (nameOrId: string) => Promise<Pick<ContainerView, 'state' | 'files'>>;
}

export interface LentNetwork extends AsyncDisposable {
  /** A network namespace; that of the host, and one without any network, have no path. */
  readonly place: 'host' | 'none' | { readonly netnsPath: string };
  /** The text of the resolv.conf that is right there; absent: the host's is. */
  readonly resolvConf?: string;
  /** The host, as it is seen from there. */
  readonly gateway?: string;
}

export class NetworkLender {
  readonly #deps: NetworkLenderDeps;
  readonly #joining: Joining;

  constructor(deps: NetworkLenderDeps) {
    this.#deps = deps;
    this.#joining = new Joining(deps.ownNetworks, deps.swarmNetworks);
  }

  /**
   * `mode` is Docker's: "default", "bridge", "host", "none", "container:NAME", or the name of a
   * network. Given back when the answer is disposed of. Throws `not-found` for a network or a
   * container that is not there, and what joining it says.
   */
  async lend(
    id: string,
    mode: string,
    options: { readonly signal: AbortSignal },
  ): Promise<LentNetwork> {
    if (mode === 'host' || mode === 'none') return { place: mode, ...lentByNobody };
    if (mode.startsWith('container:')) {
      return this.#share(await this.#deps.running(mode.slice('container:'.length)));
    }
    const { network } = this.#deps;
    const isDefault = mode === '' || mode === 'default';
    const borrower = { id, name: `build-${id.slice(0, 12)}` };
    const wanted = { network: isDefault ? bridgeId : mode, aliases: [] };
    const places = await this.#joining.takeAll(borrower, [wanted]);
    const [place] = places;
    if (place === undefined) throw new SwarmError('internal', `nothing was taken of ${mode}`);
    const giveBack = async () => {
      await network.detach(id);
      this.#joining.giveBack(id, places);
    };
    try {
      const attachment = await network.attach(requestOf(borrower, place), options);
      this.#joining.arrived(places);
      const { netnsPath, addresses, resolver, gateway } = attachment;
      const files = {
        containerId: id,
        hostname: '',
        networkMode: 'bridge' as const,
        addresses,
        ...(resolver === undefined ? {} : { resolver }),
        spec: undefined,
      };
      return {
        place: { netnsPath },
        resolvConf: resolvFile(files, await readIfThere('/etc/resolv.conf')),
        ...(gateway === undefined ? {} : { gateway }),
        [Symbol.asyncDispose]: giveBack,
      };
    } catch (error) {
      await giveBack();
      throw error;
    }
  }

  async #share({ state, files }: Pick<ContainerView, 'state' | 'files'>): Promise<LentNetwork> {
    const resolv = files['/etc/resolv.conf'];
    return {
      place: { netnsPath: `/proc/${state.pid}/ns/net` },
      ...(resolv === undefined ? {} : { resolvConf: await readFile(resolv, 'utf8') }),
      ...lentByNobody,
    };
  }
}

const lentByNobody = { [Symbol.asyncDispose]: () => Promise.resolve() };

function requestOf(borrower: { readonly id: string; readonly name: string }, place: Place) {
  const isBridge = place.networkId === bridgeId;
  return {
    containerId: borrower.id,
    mode: 'bridge' as const,
    isOnBridge: isBridge,
    networks: isBridge ? [] : [taskNetworkOf(borrower, place)],
    ports: [],
  };
}
