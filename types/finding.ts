/** What an examination of a node says of it. */
import { list, oneOf, optional, required, string, struct, type TypeOf } from './codec.ts';

export const finding = struct({
  /** What was looked at: `kernel`, `data-path`, `ports`, `repairs`, `swarm`, `clock`, `limits`. */
  check: required('Check', string, ''),
  level: required('Level', oneOf('ok', 'warning', 'error'), 'error'),
  /** A sentence: what is so, and where it is wrong, what to do. */
  text: required('Text', string, ''),
});
export type Finding = TypeOf<typeof finding>;

export const nodeFindings = struct({
  /** Empty for a host that is in no swarm. */
  id: required('ID', string, ''),
  hostname: required('Hostname', string, ''),
  findings: required('Findings', list(finding), []),
  /** Why the node was not examined. */
  error: optional('Error', string),
});
export type NodeFindings = TypeOf<typeof nodeFindings>;
