/** A connection to containerd: its services, typed, in one of its namespaces. */
import { Client as GrpcClient, credentials } from '@grpc/grpc-js';
import { Containers } from '../../../gen/containerd/containers_pb.js';
import { Content } from '../../../gen/containerd/content_pb.js';
import { Diff } from '../../../gen/containerd/diff_pb.js';
import { Events } from '../../../gen/containerd/events_pb.js';
import { Images } from '../../../gen/containerd/images_pb.js';
import { Leases } from '../../../gen/containerd/leases_pb.js';
import { Namespaces } from '../../../gen/containerd/namespaces_pb.js';
import { Snapshots } from '../../../gen/containerd/snapshots_pb.js';
import { Tasks } from '../../../gen/containerd/tasks_pb.js';
import { Version } from '../../../gen/containerd/version_pb.js';
import { typedClient, type TypedClient } from './binding.ts';

/**
 * containerd's services. Every call throws SwarmError with gRPC's code (`not-found`,
 * `already-exists`, `unavailable` …) and containerd's message.
 */
export interface ContainerdClient extends Disposable {
  readonly namespace: string;
  readonly containers: TypedClient<typeof Containers>;
  readonly tasks: TypedClient<typeof Tasks>;
  readonly snapshots: TypedClient<typeof Snapshots>;
  readonly content: TypedClient<typeof Content>;
  readonly images: TypedClient<typeof Images>;
  readonly diff: TypedClient<typeof Diff>;
  readonly leases: TypedClient<typeof Leases>;
  readonly events: TypedClient<typeof Events>;
  readonly namespaces: TypedClient<typeof Namespaces>;
  readonly version: TypedClient<typeof Version>;
}

/** containerd's own limit for a message; grpc-js would refuse what is over 4 MiB. */
const maxMessageBytes = 16 * 1024 * 1024;
/** Longer than any call takes on a machine that works; a call that needs more says so. */
const unaryTimeoutMs = 120_000;

/** The metadata that makes a call's objects belong to a lease: `{ metadata: leaseMetadata(id) }`. */
export function leaseMetadata(leaseId: string): Record<string, string> {
  return { 'containerd-lease': leaseId };
}

/** Connects lazily: a containerd that is not there yet makes the first call `unavailable`. */
export function connectContainerd(options: {
  readonly socketPath: string;
  readonly namespace: string;
}): ContainerdClient {
  const client = new GrpcClient(`unix:${options.socketPath}`, credentials.createInsecure(), {
    'grpc.max_receive_message_length': maxMessageBytes,
    'grpc.max_send_message_length': maxMessageBytes,
    'grpc.initial_reconnect_backoff_ms': 50,
    'grpc.min_reconnect_backoff_ms': 50,
    'grpc.max_reconnect_backoff_ms': 1000,
    'grpc.use_local_subchannel_pool': 1,
  });
  const defaults = {
    metadata: { 'containerd-namespace': options.namespace },
    timeoutMs: unaryTimeoutMs,
  };
  return {
    namespace: options.namespace,
    containers: typedClient(Containers, client, defaults),
    tasks: typedClient(Tasks, client, defaults),
    snapshots: typedClient(Snapshots, client, defaults),
    content: typedClient(Content, client, defaults),
    images: typedClient(Images, client, defaults),
    diff: typedClient(Diff, client, defaults),
    leases: typedClient(Leases, client, defaults),
    events: typedClient(Events, client, defaults),
    namespaces: typedClient(Namespaces, client, defaults),
    version: typedClient(Version, client, defaults),
    [Symbol.dispose]: () => client.close(),
  };
}
