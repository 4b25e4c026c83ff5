import { connect } from '../../client/index.ts';
import { exactly, type Command } from '../../command/command.ts';
import { commandError } from '../../command/errors.ts';
import { list, oneOf } from '../../command/flags.ts';
import { splitPair } from '../../format/parse.ts';
import { changeNode } from '../../node/change.ts';

const availability = oneOf(
  'availability',
  'Availability of the node ("active", "pause", "drain")',
  ['active', 'pause', 'drain'],
);
const role = oneOf('role', 'Role of the node ("worker", "manager")', ['worker', 'manager']);
const labelAdd = list('label-add', 'Add or update a node label ("key=value")');
const labelRm = list('label-rm', 'Remove a node label if exists');

export const command: Command = {
  usage: '[OPTIONS] NODE',
  flags: [availability, labelAdd, labelRm, role],
  args: exactly(1),
  async run(context, [reference = ''], flags) {
    const client = connect(context);
    await changeNode(client, reference, (spec) => {
      spec.availability = flags.get(availability) ?? spec.availability;
      spec.role = flags.get(role) ?? spec.role;
      for (const text of flags.get(labelAdd) ?? []) {
        const [key, value = ''] = splitPair(text);
        spec.labels[key] = value;
      }
      for (const key of flags.get(labelRm) ?? []) {
        if (!Object.hasOwn(spec.labels, key)) {
          throw commandError(`key ${key} doesn't exist in node's labels`);
        }
        delete spec.labels[key];
      }
      return true;
    });
    context.out.line(reference);
  },
};
