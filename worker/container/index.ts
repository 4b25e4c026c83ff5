/**
 * Owns standalone containers: what a person runs on this node beside the tasks of the swarm.
 * Imports lib, types and its siblings in worker. Read manager.ts first, then standalone.ts, a
 * container's states; view.ts is what is told of one.
 */
export { SwarmAttachments } from './attachments.ts';
export type { ContainerEvent, NetworkEvent } from './events.ts';
export type { ExecView } from './execs.ts';
export { NetworkLender, type LentNetwork } from './network-lender.ts';
export { ContainerManager, ownOf, type CreateRequest, type Target } from './manager.ts';
export type { ContainerManagerDeps, ContainerManagerOptions } from './manager-deps.ts';
export { connect, disconnect, wantedNetwork, type NamedNetwork } from './networking.ts';
export {
  noSwarmNetworks,
  type SwarmNetworks,
  type JoinRequest,
  type OwnNetworks,
  type SwarmPlace,
} from './joining.ts';
export type { WaitCondition } from './standalone.ts';
export type { Attachment } from './streams.ts';
export { dockerPorts } from './port-requests.ts';
export { TaskEvents } from './task-events.ts';
export { TaskNetworkEvents } from './task-network-events.ts';
export type { TaskContainer } from './tasks.ts';
export { taskContainerHexId } from '../runtime/hex-id.ts';
export * from './view.ts';
