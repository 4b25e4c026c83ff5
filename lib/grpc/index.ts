/**
 * Owns gRPC as the swarm uses it: protobuf-es services over @grpc/grpc-js, errors mapped once, and
 * the cluster port with its mutual TLS. Imports the rest of lib, nothing above it. Read service.ts
 * first (the types), then server.ts and client.ts.
 */
export { defaultClusterPort, formatAddr, parseAddr, withDefaultPort } from './addr.ts';
export { Connection, type ConnectOptions } from './client.ts';
export { codeOfStatus, unsent } from './errors.ts';
export type { CallContext } from './handler.ts';
export { PieceSocket, piecesOf, type Piece, type PieceStream } from './piece-socket.ts';
export type { Allow, NodePeer, NodeRole } from './peer.ts';
export {
  ClusterServer,
  removed,
  type ClusterServerOptions,
  type ServerIdentity,
} from './server.ts';
export type {
  CallOptions,
  CallStream,
  ClientOf,
  HandlersOf,
  MessageStream,
  RequestStream,
} from './service.ts';
