import type { FileKind } from '../../types/index.ts';
import { connect } from '../client/index.ts';
import { exactly, type Command } from '../command/command.ts';
import { detachFlag, quietProgressFlag } from '../command/common-flags.ts';
import { findService } from '../service/lookup.ts';
import { timeoutFlag, waitConverged } from '../service/wait.ts';
import { readContent } from './content.ts';
import { findFile } from './wire.ts';

interface Revised {
  readonly ID: string;
  readonly Revision: number;
  readonly Services: readonly { readonly ID: string; readonly Name: string }[];
}

/** Docker has none: another content behind the same name, and the services that use it follow. */
export function updateCommand(kind: FileKind): Command {
  return {
    usage: `[OPTIONS] ${kind.toUpperCase()} file|-`,
    flags: [detachFlag, quietProgressFlag, timeoutFlag],
    args: exactly(2),
    async run(context, [reference = '', path = ''], flags) {
      const client = connect(context);
      const Data = await readContent(context, path);
      const { ID: id } = await findFile(client, kind, reference);
      const { ID, Services } = await client.json<Revised>('POST', `/${kind}s/${id}/revisions`, {
        body: { Data },
      });
      context.out.line(ID);
      for (const service of Services) context.err.line(`${service.Name} is updated`);
      if (flags.get(detachFlag)) return;
      for (const { ID: serviceId, Name: name } of Services) {
        const { Version } = await findService(client, serviceId);
        await waitConverged(context, client, serviceId, {
          name,
          quiet: flags.get(quietProgressFlag) ?? false,
          timeoutMs: flags.get(timeoutFlag),
          // The update is in that version already.
          sinceVersion: Version.Index - 1,
        });
      }
    },
  };
}
