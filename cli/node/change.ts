/** Changes the specs of nodes, each from the version that was read. */
import { nodeSpec, type NodeSpec } from '../../types/index.ts';
import { connect, type Client } from '../client/index.ts';
import type { WireInfo, WireNode } from '../client/wire.ts';
import { forEachOperand } from '../command/command.ts';
import type { Context } from '../command/context.ts';
import type { Draft } from '../service/draft.ts';

/** By id, name or the beginning of an id; `self` is the node that answers. */
export async function findNode(client: Client, reference: string): Promise<WireNode> {
  const id = await nodeReference(client, reference);
  return client.get<WireNode>(`/nodes/${encodeURIComponent(id)}`);
}

async function nodeReference(client: Client, reference: string): Promise<string> {
  if (reference !== 'self') return reference;
  const info = await client.get<WireInfo>('/info');
  const id = info.Swarm?.NodeID;
  if (id) return id;
  // Any question about the swarm gets the daemon's own words for not being in one.
  await client.get('/nodes');
  return reference;
}

/** Returns whether the change made a difference; sends nothing where it did not. */
export async function changeNode(
  client: Client,
  reference: string,
  change: (spec: Draft<NodeSpec>) => boolean,
): Promise<boolean> {
  const node = await findNode(client, reference);
  const spec = structuredClone(nodeSpec.decode(node.Spec, 'Spec')) as Draft<NodeSpec>;
  if (!change(spec)) return false;
  await client.json('POST', `/nodes/${node.ID}/update`, {
    query: { version: node.Version.Index },
    body: nodeSpec.encode(spec),
  });
  return true;
}

export async function setRole(
  context: Context,
  references: readonly string[],
  role: 'manager' | 'worker',
): Promise<void> {
  const client = connect(context);
  await forEachOperand(references, async (reference) => {
    const changed = await changeNode(client, reference, (spec) => {
      if (spec.role === role) return false;
      spec.role = role;
      return true;
    });
    const done = role === 'manager' ? 'promoted to a manager' : 'demoted';
    const already = role === 'manager' ? 'already a manager' : 'already a worker';
    if (!changed) context.out.line(`Node ${reference} is ${already}.`);
    else if (role === 'manager') context.out.line(`Node ${reference} ${done} in the swarm.`);
    else context.out.line(`Manager ${reference} ${done} in the swarm.`);
  });
}
