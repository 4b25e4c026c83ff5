/** What the manager that leads answers to nodes whose containers are to join networks. */
import type { Attachments as AttachmentsService } from '../../gen/dispatcher_pb.js';
import { SwarmError } from '../../lib/errors.ts';
import { removed, type CallContext, type HandlersOf } from '../../lib/grpc/index.ts';
import type { StoreView } from '../store/view.ts';
import type { AttachmentRequest, NetworkAttached } from './attachments.ts';

interface AttachmentControl {
  attach(request: AttachmentRequest): Promise<NetworkAttached>;
}

/** To be registered with `allow: 'nodes'`. */
export function serveAttachments(
  control: AttachmentControl,
  store: Pick<StoreView, 'node'> & { readonly isLeader: boolean },
): HandlersOf<typeof AttachmentsService, CallContext> {
  return {
    async attach(request, { peer }) {
      if (peer === undefined) throw new SwarmError('unauthenticated', 'a node must say who it is');
      if (!store.isLeader) throw new SwarmError('unavailable', 'this manager does not lead');
      const { nodeId } = peer;
      if (store.node(nodeId) === undefined) throw removed(nodeId);
      const { subnets, addresses, ...rest } = await control.attach({ ...request, nodeId });
      return { ...rest, addresses: [...addresses], subnets: Buffer.from(JSON.stringify(subnets)) };
    },
  };
}
