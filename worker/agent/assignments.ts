/** What a set of assignments on the wire says, for the executor. Pure. */
import {
  AssignmentChange_Action,
  Assignments_Kind,
  type Assignments,
} from '../../gen/dispatcher_pb.js';
import {
  networkObjectTypes,
  type AssignedFile,
  type AssignedTask,
  type AssignedVolume,
  type NetworkAssignments,
  type NetworkObjectType,
} from '../../types/index.ts';
import type { TaskAssignments } from '../executor/executor.ts';

type NetworkUpdate = NetworkAssignments['update'][number];

/** Objects of types that this node does not know of are passed over: a newer manager sends them. */
export function readAssignments(set: Assignments): TaskAssignments {
  const complete = set.kind === Assignments_Kind.COMPLETE;
  const tasks = { update: [] as AssignedTask[], remove: [] as string[], kept: [] as string[] };
  const networks = {
    complete,
    update: [] as NetworkUpdate[],
    remove: [] as NetworkAssignments['remove'][number][],
  };
  const files = { complete, update: [] as AssignedFile[], remove: [] as string[] };
  const volumes = {
    complete,
    update: [] as AssignedVolume[],
    remove: [] as { id: string; publication: string }[],
  };
  for (const { action, type, id, object } of set.changes) {
    const removes = action === AssignmentChange_Action.REMOVE;
    if (type === 'task') {
      if (removes) tasks.remove.push(id);
      else if (object.length === 0) tasks.kept.push(id);
      else tasks.update.push(parse(object) as AssignedTask);
    } else if (type === 'secret' || type === 'config') {
      if (removes) files.remove.push(id);
      else files.update.push(parse(object) as AssignedFile);
    } else if (type === 'volume') {
      if (removes) volumes.remove.push({ id, publication: Buffer.from(object).toString() });
      else volumes.update.push(parse(object) as AssignedVolume);
    } else if (isNetworkObjectType(type)) {
      if (removes) networks.remove.push({ type, id });
      else networks.update.push({ type, object: parse(object) } as NetworkUpdate);
    }
  }
  return { complete, ...tasks, networks, files, volumes };
}

function isNetworkObjectType(type: string): type is NetworkObjectType {
  return (networkObjectTypes as readonly string[]).includes(type);
}

function parse(bytes: Uint8Array): unknown {
  return JSON.parse(Buffer.from(bytes).toString());
}
