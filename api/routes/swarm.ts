import { SwarmError } from '../../lib/errors.ts';
import { checkSwarmSpec, externalAfterRoot } from '../../manager/control/index.ts';
import {
  boolean,
  list,
  oneOf,
  optional,
  required,
  string,
  struct,
  swarmSpec,
  unsigned,
  type SwarmSpec,
} from '../../types/index.ts';
import { shownTicks } from '../convert/defaults.ts';
import { swarmJson } from '../convert/swarm.ts';
import type { Exchange } from '../exchange.ts';
import { findCluster } from '../lookup.ts';
import type { Route } from '../router.ts';
import { tlsInfoOf } from '../tls-info.ts';
import type { RouteModules } from './modules.ts';

const defaultPort = 2377;
const defaultDataPathPort = 4789;
const availability = oneOf('active', 'pause', 'drain');
const emptySpec = swarmSpec.decode({}, '');

export const externalStore = struct({
  url: required('URL', string, ''),
  caPem: optional('CA', string),
  certPem: optional('Cert', string),
  keyPem: optional('Key', string),
});

const initRequest = struct({
  listenAddr: required('ListenAddr', string, `0.0.0.0:${defaultPort}`),
  advertiseAddr: required('AdvertiseAddr', string, ''),
  dataPathAddr: required('DataPathAddr', string, ''),
  dataPathPort: required('DataPathPort', unsigned, 0),
  defaultAddressPools: required('DefaultAddrPool', list(string), []),
  subnetSize: required('SubnetSize', unsigned, 0),
  forceNewCluster: required('ForceNewCluster', boolean, false),
  autoLockManagers: required('AutoLockManagers', boolean, false),
  availability: required('Availability', availability, 'active'),
  spec: required('Spec', swarmSpec, emptySpec),
  /** Ours; Docker's managers have only a log of their own. */
  store: optional('Store', externalStore),
});

const joinRequest = struct({
  listenAddr: required('ListenAddr', string, `0.0.0.0:${defaultPort}`),
  advertiseAddr: required('AdvertiseAddr', string, ''),
  dataPathAddr: required('DataPathAddr', string, ''),
  remoteAddrs: required('RemoteAddrs', list(string), []),
  joinToken: required('JoinToken', string, ''),
  availability: required('Availability', availability, 'active'),
});

const unlockRequest = struct({ unlockKey: required('UnlockKey', string, '') });

export function swarmRoutes(modules: RouteModules): Route[] {
  const { backend, events } = modules;
  return [
    {
      method: 'GET',
      path: '/swarm',
      async handle(exchange) {
        const cluster = findCluster(await backend.manager().read());
        exchange.json(swarmJson(cluster, tlsInfoOf(cluster)));
      },
    },
    { method: 'POST', path: '/swarm/init', handle: (exchange) => init(exchange, modules) },
    { method: 'POST', path: '/swarm/join', handle: (exchange) => join(exchange, modules) },
    {
      method: 'POST',
      path: '/swarm/leave',
      async handle(exchange) {
        await backend.swarm.leave({ force: exchange.flag('force') });
        events.nudge();
        exchange.empty();
      },
    },
    { method: 'POST', path: '/swarm/update', handle: (exchange) => update(exchange, modules) },
    {
      method: 'GET',
      path: '/swarm/unlockkey',
      async handle(exchange) {
        const { managerLock } = findCluster(await backend.manager().read());
        exchange.json({ UnlockKey: managerLock?.unlockKey ?? '' });
      },
    },
    {
      method: 'POST',
      path: '/swarm/unlock',
      async handle(exchange) {
        await backend.swarm.unlock(await exchange.body(unlockRequest));
        events.nudge();
        exchange.empty();
      },
    },
  ];
}

async function init(exchange: Exchange, { backend, events }: RouteModules): Promise<void> {
  const request = await exchange.body(initRequest);
  const spec = named({
    ...request.spec,
    encryption: {
      autoLockManagers: request.autoLockManagers || request.spec.encryption.autoLockManagers,
    },
  });
  checkSwarmSpec(spec);
  if ((spec.ca.externalCas ?? []).length > 0) {
    throw new SwarmError('invalid-argument', externalAfterRoot);
  }
  if ((spec.ca.signingCaCert ?? '') !== '' || (spec.ca.signingCaKey ?? '') !== '') {
    throw new SwarmError(
      'invalid-argument',
      'a new swarm makes its own root; bring in another with "ts-swarm swarm ca --rotate --ca-cert"',
    );
  }
  const nodeId = await backend.swarm.init({
    listenAddr: withPort(request.listenAddr, 'ListenAddr'),
    advertiseAddr: request.advertiseAddr,
    dataPathAddr: request.dataPathAddr,
    dataPathPort: dataPathPort(request.dataPathPort),
    defaultAddressPools: pools(request.defaultAddressPools),
    subnetSize: subnetSize(request.subnetSize),
    forceNewCluster: request.forceNewCluster,
    availability: request.availability,
    spec,
    ...(request.store === undefined ? {} : { store: request.store }),
  });
  events.nudge();
  exchange.json(nodeId);
}

async function join(exchange: Exchange, { backend, events }: RouteModules): Promise<void> {
  const request = await exchange.body(joinRequest);
  if (request.remoteAddrs.length === 0) {
    throw new SwarmError('invalid-argument', 'at least 1 RemoteAddr is required to join');
  }
  if (request.joinToken === '') {
    throw new SwarmError('invalid-argument', 'a join token is required: see swarm join-token');
  }
  await backend.swarm.join({
    ...request,
    listenAddr: withPort(request.listenAddr, 'ListenAddr'),
    remoteAddrs: request.remoteAddrs.map((addr) => withPort(addr, 'remoteAddr')),
  });
  events.nudge();
  exchange.empty();
}

async function update(exchange: Exchange, { backend }: RouteModules): Promise<void> {
  const manager = backend.manager();
  const spec = named(await exchange.body(swarmSpec));
  const version = exchange.objectVersion('swarm');
  await manager.control.updateCluster({
    version,
    spec,
    rotateWorkerToken: exchange.flag('rotateWorkerToken'),
    rotateManagerToken: exchange.flag('rotateManagerToken'),
    rotateManagerUnlockKey: exchange.flag('rotateManagerUnlockKey'),
    rotateNetworkKeys: exchange.flag('rotateNetworkKeys'),
    ...exchange.asked,
  });
  exchange.empty();
}

function named(spec: SwarmSpec): SwarmSpec {
  if (spec.name !== '' && spec.name !== 'default') {
    throw new SwarmError('invalid-argument', 'swarm spec must be named "default"');
  }
  const { electionTick = 0, heartbeatTick = 0, ...raft } = spec.raft;
  // Docker's CLI writes 0 where it has no wish, and back what it was shown.
  if (![0, shownTicks.election].includes(electionTick)) throw fixedTicks(electionTick);
  if (![0, shownTicks.heartbeat].includes(heartbeatTick)) throw fixedTicks(heartbeatTick);
  return { ...spec, name: 'default', raft };
}

function fixedTicks(ticks: number): SwarmError {
  return new SwarmError(
    'invalid-argument',
    `managers cannot be told to elect or to send heartbeats every ${ticks} ticks: leave ElectionTick ` +
      `at ${shownTicks.election} and HeartbeatTick at ${shownTicks.heartbeat}`,
  );
}

/** "host", "host:port", ":port", "[v6]", "[v6]:port" or a bare IPv6 address, with a port. */
export function withPort(addr: string, field: string): string {
  const text = addr.replace(/^tcp:\/\//, '');
  if (text === '') {
    throw new SwarmError('invalid-argument', `invalid ${field} "": invalid empty address`);
  }
  const isBareV6 = !text.startsWith('[') && text.split(':').length > 2;
  if (isBareV6) return `[${text}]:${defaultPort}`;
  if (text.startsWith(':')) return `0.0.0.0${text}`;
  return /:\d+$/.test(text) ? text : `${text}:${defaultPort}`;
}

function dataPathPort(port: number): number {
  if (port === 0) return defaultDataPathPort;
  if (port < 1024 || port > 49_151) {
    throw new SwarmError(
      'invalid-argument',
      `Datapath port number is not in valid range (1024-49151) : ${port}`,
    );
  }
  return port;
}

function pools(given: readonly string[]): readonly string[] {
  const wrong = given.find((pool) => !/^\d{1,3}(?:\.\d{1,3}){3}\/\d{1,2}$/.test(pool));
  if (wrong !== undefined) {
    throw new SwarmError('invalid-argument', `invalid default address pool "${wrong}"`);
  }
  return given.length === 0 ? ['10.0.0.0/8'] : given;
}

function subnetSize(size: number): number {
  if (size === 0) return 24;
  if (size > 29) {
    throw new SwarmError('invalid-argument', `invalid subnet size ${size}: it is at most 29`);
  }
  return size;
}
