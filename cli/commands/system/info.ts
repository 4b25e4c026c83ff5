import { connect, type Client } from '../../client/index.ts';
import { noArgs, type Command } from '../../command/command.ts';
import { text } from '../../command/flags.ts';
import { infoLines, type WireFullInfo } from '../../system/info-lines.ts';

const format = text('format', 'Format output using a custom template: json, or a Go template', {
  short: 'f',
});

const optional = new Set(
  (
    'Cluster Containerd ControlAvailable DefaultAddressPools Driver DriverStatus Error HttpProxy ' +
    'HttpsProxy Labels LiveRestoreEnabled LocalNodeState Managers NoProxy NodeAddr NodeID Nodes ' +
    'RegistryConfig RemoteManagers SecurityOptions ServerErrors Swarm Warnings'
  ).split(' '),
);

export const command: Command = {
  usage: '[OPTIONS]',
  flags: [format],
  args: noArgs,
  async run(context, _args, flags) {
    const client: Client = connect(context);
    const info = await client.get<WireFullInfo>('/info');
    const wanted = flags.get(format) ?? '';
    if (wanted === '') {
      for (const line of infoLines(info)) context.out.line(line);
      for (const warning of info.Warnings ?? []) context.err.line(warning);
      return;
    }
    const { compileTemplate } = await import('../../format/template.ts');
    const template = compileTemplate(wanted === 'json' ? '{{json .}}' : wanted, {
      optional: (name) => optional.has(name),
    });
    context.out.line(template.run(info));
  },
};
