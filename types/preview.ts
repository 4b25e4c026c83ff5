/** What changes of services would do, as `POST /plan` is asked and answers. */
import { boolean, list, integer, oneOf, optional, required, string } from './codec.ts';
import { struct, type TypeOf } from './codec.ts';
import { serviceSpec } from './specs.ts';

const previewChange = struct({
  action: required('Action', oneOf('create', 'update', 'remove', 'rebalance'), 'update'),
  /** Id or name; for `create` the spec names it. */
  service: optional('Service', string),
  /** For `create` and `update`, unless it is to be rolled back. */
  spec: optional('Spec', serviceSpec),
  rollback: optional('Rollback', boolean),
});
export type PreviewChange = TypeOf<typeof previewChange>;

/** Carried out in this order, as one. */
export const previewRequest = struct({
  changes: required('Changes', list(previewChange), []),
});

/** A field of the spec by its name in Docker's JSON; `[]` behind it: one item of a list. */
const fieldChange = struct({
  path: required('Path', string, ''),
  /** JSON; absent for what is added. */
  from: optional('From', string),
  /** JSON; absent for what is taken away. */
  to: optional('To', string),
});
export type FieldChange = TypeOf<typeof fieldChange>;

const taskChange = struct({
  /** `web.3` */
  name: required('Name', string, ''),
  change: required('Change', oneOf('create', 'replace', 'stop', 'wait'), 'create'),
  /** The host of the task that goes; empty where it had none. */
  from: required('From', string, ''),
  /** The host that a new task would go to; empty where it would find none. */
  to: required('To', string, ''),
  /** Why it would find none. */
  reason: optional('Reason', string),
});
export type TaskChange = TypeOf<typeof taskChange>;

const servicePreview = struct({
  name: required('Name', string, ''),
  action: required('Action', oneOf('create', 'update', 'remove', 'rebalance', 'none'), 'none'),
  fields: required('Fields', list(fieldChange), []),
  tasks: required('Tasks', list(taskChange), []),
  unchangedTasks: required('UnchangedTasks', integer, 0),
  /** What is worth knowing besides: that an update would pause, what was left out. */
  notes: required('Notes', list(string), []),
});
export type ServicePreview = TypeOf<typeof servicePreview>;

export const preview = struct({
  /** Anything at all would change. */
  changes: required('Changes', boolean, false),
  services: required('Services', list(servicePreview), []),
  /** Services that are not part of the request, whose tasks would get or lose a place by it. */
  others: required('Others', list(servicePreview), []),
});
export type Preview = TypeOf<typeof preview>;
