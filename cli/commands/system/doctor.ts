import { connect } from '../../client/index.ts';
import { noArgs, type Command } from '../../command/command.ts';
import { silentExit } from '../../command/errors.ts';
import { bool, text } from '../../command/flags.ts';
import { alignColumns } from '../../format/table.ts';

interface WireReport {
  readonly Nodes: readonly {
    readonly ID: string;
    readonly Hostname: string;
    readonly Findings: readonly {
      readonly Check: string;
      readonly Level: 'ok' | 'warning' | 'error';
      readonly Text: string;
    }[];
    /** Why the node was not examined. */
    readonly Error?: string;
  }[];
}

const local = bool('local', 'Look at this host only, also on a manager');
const format = text('format', 'Format output: json', { short: 'f' });

export const command: Command = {
  usage: '[OPTIONS]',
  flags: [format, local],
  args: noArgs,
  long:
    'Looks at the kernel, the way to the other nodes, published ports, the clock, what had to be ' +
    'put right, and how the node stands in its swarm; on a manager, on every node. Nothing is ' +
    'changed. Ends with 1 where something is wrong.',
  async run(context, _args, flags) {
    const query = { local: flags.get(local) === true ? '1' : undefined };
    const report = await connect(context).get<WireReport>('/doctor', query);
    if (flags.get(format) === 'json') context.out.line(JSON.stringify(report));
    else for (const line of lines(report)) context.out.line(line);
    const isWrong = report.Nodes.some(
      ({ Findings, Error: reason }) =>
        reason !== undefined || Findings.some(({ Level }) => Level === 'error'),
    );
    if (isWrong) throw silentExit(1);
  },
};

const marks = { ok: 'ok', warning: 'WARNING', error: 'ERROR' } as const;

function lines({ Nodes }: WireReport): readonly string[] {
  return Nodes.flatMap(({ ID, Hostname, Findings, Error: reason }) => [
    ID === '' ? Hostname : `${Hostname} (${ID})`,
    ...(reason === undefined ? [] : [`  ${marks.error}  not examined: ${reason}`]),
    ...alignColumns(
      Findings.map(({ Check, Level, Text }) => `  ${marks[Level]}\t${Check}\t${Text}`),
      { minWidth: 0, padding: 2 },
    ),
  ]);
}
