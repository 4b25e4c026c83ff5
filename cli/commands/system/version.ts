import { connect } from '../../client/index.ts';
import { noArgs, type Command } from '../../command/command.ts';
import { text } from '../../command/flags.ts';
import { alignColumns } from '../../format/table.ts';
import { ownVersion } from '../../system/own-version.ts';

const format = text('format', 'Format output using a custom template: json, or a Go template', {
  short: 'f',
});

interface WireVersion {
  readonly Platform?: { readonly Name?: string };
  readonly Version: string;
  readonly ApiVersion: string;
  readonly MinAPIVersion?: string;
  readonly GitCommit?: string;
  readonly GoVersion?: string;
  readonly Os: string;
  readonly Arch: string;
  readonly KernelVersion?: string;
  readonly BuildTime?: string;
  readonly Components?: readonly {
    readonly Name: string;
    readonly Version: string;
    readonly Details?: Readonly<Record<string, string>> | null;
  }[];
}

export const command: Command = {
  usage: '[OPTIONS]',
  flags: [format],
  args: noArgs,
  async run(context, _args, flags) {
    const client = connect(context);
    const own = ownVersion();
    const clientPart = (apiVersion: string) => ({
      Version: own,
      ApiVersion: apiVersion,
      NodeVersion: process.version,
      Os: process.platform,
      Arch: architecture(),
    });
    const wanted = flags.get(format) ?? '';
    let server: WireVersion | undefined;
    let problem: unknown;
    try {
      server = await client.get<WireVersion>('/version');
    } catch (error) {
      problem = error;
    }
    const apiVersion = server === undefined ? '' : await client.version();
    if (wanted === '') {
      for (const line of clientLines(clientPart(apiVersion))) context.out.line(line);
      if (server !== undefined) for (const line of serverLines(server)) context.out.line(line);
    } else {
      const { compileTemplate } = await import('../../format/template.ts');
      const template = compileTemplate(wanted === 'json' ? '{{json .}}' : wanted);
      const data = { Client: clientPart(apiVersion), Server: server ?? null };
      context.out.line(template.run(data));
    }
    // As in Docker: the client's own half is printed first, then why there is no other.
    if (problem !== undefined) throw problem;
  },
};

function architecture(): string {
  return process.arch === 'x64' ? 'amd64' : process.arch;
}

function clientLines(part: Readonly<Record<string, string>>): string[] {
  return section('Client: ts-swarm', [
    ['Version', part['Version']],
    ['API version', part['ApiVersion']],
    ['Node version', part['NodeVersion']],
    ['OS/Arch', `${part['Os']}/${part['Arch']}`],
  ]);
}

function serverLines(server: WireVersion): string[] {
  const least = server.MinAPIVersion ? ` (minimum version ${server.MinAPIVersion})` : '';
  const engine = section(`\nServer: ${server.Platform?.Name ?? ''}`.trimEnd(), [
    ['Version', server.Version],
    ['API version', `${server.ApiVersion}${least}`],
    ['Git commit', server.GitCommit],
    ['Built', server.BuildTime],
    ['OS/Arch', `${server.Os}/${server.Arch}`],
    ['Kernel version', server.KernelVersion],
  ]);
  const others = (server.Components ?? [])
    .filter(({ Name }) => Name !== 'Engine')
    .flatMap(({ Name, Version, Details }) => [
      ` ${Name}:`,
      ...alignColumns(
        [
          ['Version', Version] as const,
          ...Object.entries(Details ?? {}).filter(([, value]) => value !== ''),
        ].map(([key, value]) => `  ${key}:\t${value}`),
        { minWidth: 20, padding: 1 },
      ),
    ]);
  return [...engine, ...others];
}

function section(
  title: string,
  entries: readonly (readonly [string, string | undefined])[],
): string[] {
  const lines = entries
    .filter(([, value]) => value !== undefined && value !== '')
    .map(([key, value]) => ` ${key}:\t${value}`);
  return [title, ...alignColumns(lines, { minWidth: 20, padding: 1 })];
}
