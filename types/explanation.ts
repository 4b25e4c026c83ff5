/** Why a task or a service is as it is, as `GET /explain/{id}` tells it. */
import { integer, list, oneOf, optional, required, string, struct, type TypeOf } from './codec.ts';

const reason = struct({
  /** What the sentence is about; `wait` is what has to happen for things to go on. */
  about: required(
    'About',
    oneOf('state', 'wait', 'node', 'restart', 'stop', 'update', 'place'),
    'state',
  ),
  text: required('Text', string, ''),
});
export type Reason = TypeOf<typeof reason>;

const nodeVerdict = struct({
  id: required('ID', string, ''),
  hostname: required('Hostname', string, ''),
  /** Each a phrase about the node, "is drained"; none where the task could go there. */
  refusals: required('Refusals', list(string), []),
  /** Wanted tasks of the same service there, without the task that is explained. */
  serviceTasks: required('ServiceTasks', integer, 0),
  tasks: required('Tasks', integer, 0),
  /** Failures of the same spec in the last minutes, where they are many enough to count. */
  failures: required('Failures', integer, 0),
});
export type NodeVerdict = TypeOf<typeof nodeVerdict>;

const taskExplanation = struct({
  id: required('ID', string, ''),
  /** `web.3` */
  name: required('Name', string, ''),
  /** Empty while it has none. */
  nodeId: required('NodeID', string, ''),
  state: required('State', string, ''),
  desiredState: required('DesiredState', string, ''),
  reasons: required('Reasons', list(reason), []),
  /** For a task that waits for a node or has one: what the scheduler makes of each, best first. */
  nodes: required('Nodes', list(nodeVerdict), []),
});
export type TaskExplanation = TypeOf<typeof taskExplanation>;

const serviceExplanation = struct({
  id: required('ID', string, ''),
  name: required('Name', string, ''),
  reasons: required('Reasons', list(reason), []),
  /** The tasks that are not as they are meant to be, at most some ten. */
  tasks: required('Tasks', list(taskExplanation), []),
  /** Tasks that were left out. */
  moreTasks: required('MoreTasks', integer, 0),
});
export type ServiceExplanation = TypeOf<typeof serviceExplanation>;

export const explanation = struct({
  task: optional('Task', taskExplanation),
  service: optional('Service', serviceExplanation),
});
export type Explanation = TypeOf<typeof explanation>;
