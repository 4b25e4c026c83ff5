/** What the swarm wanted and had in the past, as `GET /history` tells it. */
import { integer, list, oneOf, optional, required, string, struct, type TypeOf } from './codec.ts';

const historyRecord = struct({
  /** RFC 3339. */
  time: required('Time', string, ''),
  /** Of the log's entry. */
  index: required('Index', integer, 0),
  kind: required('Kind', oneOf('service', 'task', 'node', 'volume', 'swarm'), 'service'),
  name: required('Name', string, ''),
  /**
   * `command`: somebody asked for it. `managers`: they did it themselves. `node`: it was told so.
   */
  by: required('By', oneOf('command', 'managers', 'node'), 'managers'),
  /** Whose command: the name in a client's certificate, or a user of the manager's host. */
  user: optional('User', string),
  text: required('Text', string, ''),
});
export type HistoryRecord = TypeOf<typeof historyRecord>;

const pastTask = struct({
  name: required('Name', string, ''),
  node: required('Node', string, ''),
  state: required('State', string, ''),
});

const pastService = struct({
  name: required('Name', string, ''),
  image: required('Image', string, ''),
  /** `3` for replicas, `global` and the like. */
  mode: required('Mode', string, ''),
  update: required('Update', string, ''),
  running: required('Running', integer, 0),
  /** The tasks that were wanted. */
  tasks: required('Tasks', list(pastTask), []),
});

const pastNode = struct({
  hostname: required('Hostname', string, ''),
  state: required('State', string, ''),
  availability: required('Availability', string, ''),
});

const pastMoment = struct({
  time: required('Time', string, ''),
  services: required('Services', list(pastService), []),
  nodes: required('Nodes', list(pastNode), []),
});
export type PastMoment = TypeOf<typeof pastMoment>;

export const historyAnswer = struct({
  /** The earliest moment that can be told of. */
  since: required('Since', string, ''),
  /** The oldest first. */
  records: required('Records', list(historyRecord), []),
  /** Records that were left out, before these. */
  more: required('More', integer, 0),
  moment: optional('Moment', pastMoment),
});
export type HistoryAnswer = TypeOf<typeof historyAnswer>;
