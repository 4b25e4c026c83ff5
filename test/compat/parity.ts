/** docs/parity.md: every flag of the verbs that this product has, and what becomes of it. */
import { oldDocker, type Cli } from './clients.ts';
import type { Coverage } from './covered.ts';
import { endpoints, type Endpoint } from './endpoints.ts';

export const verbs: readonly string[] = [
  ...words('service', 'create update scale rollback rm ls ps inspect logs'),
  ...words('network', 'create ls inspect rm prune connect disconnect'),
  ...words('volume', 'create ls inspect rm prune update'),
  ...words('secret', 'create ls inspect rm'),
  ...words('config', 'create ls inspect rm'),
  ...words('swarm', 'init join join-token update leave ca unlock unlock-key'),
  ...words('node', 'ls ps inspect update promote demote rm'),
  ...words('stack', 'deploy ls ps services rm config'),
  ...words('image', 'pull ls inspect history tag rm load import build push save prune'),
  'commit',
  'builder prune',
  'login',
  'logout',
  'search',
  'run',
  'create',
  ...words(
    'container',
    'ls inspect start stop kill restart pause unpause rename wait rm prune top logs attach exec ' +
      'cp diff export port stats update',
  ),
  ...words('system', 'df prune'),
  'events',
  'info',
  'version',
  ...words('context', 'create ls inspect show use update export import rm'),
];

function words(noun: string, all: string): string[] {
  return all.split(' ').map((verb) => `${noun} ${verb}`);
}

/** Under this name in place of a verb, values are noted that a flag is refused with. */
export const refusedValues = 'values';

/** Of docker's client alone: the daemon never hears of it. */
const clientOnly: ReadonlySet<string> = new Set([
  '--tree',
  '--kubeconfig',
  '--help',
  '--kubernetes',
  // A mount of /var/run/docker.sock, wherever the daemon is.
  '--use-api-socket',
]);

interface Row {
  readonly verb: string;
  readonly flag: string;
  readonly line: string;
}

/** A row for each flag that the CLI's help names. Throws for those of which nothing is known. */
export async function rowsOf(cli: Cli, coverage: readonly Coverage[]): Promise<Row[]> {
  const rows: Row[] = [];
  const unknown: string[] = [];
  for (const verb of verbs) {
    const refusal = coverage.find((one) => one.verb === verb && one.refusal !== undefined);
    const isRefused = refusal?.flag === '';
    const help = await cli.help(verb.split(' '));
    // A CLI that lacks the verb shows the help of what is above it.
    if (!new RegExp(`^Usage:\\s+docker ${verb}( |$)`, 'm').test(help)) continue;
    const flags = new Set(['', ...flagsOf(help), ...(await flagsOfBuildKit(cli, verb))]);
    for (const flag of flags) {
      if (flag !== '' && isRefused) continue;
      const known = coverage.find((one) => one.verb === verb && one.flag === flag);
      const what = clientOnly.has(flag) ? 'a matter of the client alone' : sayOf(known);
      if (what === undefined) unknown.push(`${verb} ${flag}`);
      rows.push({
        verb,
        flag,
        line: `| ${flag === '' ? `\`${verb}\`` : `\`${flag}\``} | ${what} |`,
      });
    }
  }
  if (unknown.length > 0) {
    throw new Error(`${cli.name} has flags that no test shows or refuses: ${unknown.join(', ')}`);
  }
  return rows;
}

function sayOf(known: Coverage | undefined): string | undefined {
  if (known?.refusal !== undefined) return `refused: ${known.refusal}`;
  return known?.test === undefined ? undefined : `yes: ${known.test}`;
}

/** Those that Debian's CLI has for builds only where it asks for BuildKit. */
async function flagsOfBuildKit(cli: Cli, verb: string): Promise<readonly string[]> {
  if (verb !== 'image build' || cli !== oldDocker) return [];
  return flagsOf(await cli.help(verb.split(' '), { DOCKER_BUILDKIT: '1' }));
}

export function flagsOf(help: string): string[] {
  const found = help.matchAll(/^ +(?:-\w, +)?(--[a-z][a-z0-9-]*)(?: |$)/gm);
  return [...found].map(([, flag = '']) => flag);
}

const opening = `# What Docker's commands can do here

Every flag of the commands of \`docker\` that a swarm is run with, in Debian's version 20.10 and in
the newest that the tests met. "yes" names the test that shows it with the unmodified CLI: in
\`test/compat/\`, or in the file that is named. "refused" is the sentence that users get.

\`test/compat/\` fails when a flag is missing here. To write this page anew:
\`PARITY=write npx mocha --config test/.mocharc.cluster.json --spec test/compat/compat.test.ts -g parity\`.
`;

/** The page, with the rows of all CLIs merged, by flag. */
export function pageOf(all: readonly (readonly Row[])[], coverage: readonly Coverage[]): string {
  const sections = verbs.map((verb) => {
    const rows = all.flatMap((rows) => rows.filter((row) => row.verb === verb));
    const byFlag = new Map(rows.map((row) => [row.flag, row.line]));
    const sorted = [...byFlag].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, line]) => line);
    return `## docker ${verb}\n\n| flag | here |\n| --- | --- |\n${sorted.join('\n')}\n`;
  });
  const values = coverage
    .filter(({ verb }) => verb === refusedValues)
    .map(({ flag, refusal }) => `| \`${flag}\` | ${refusal} |`);
  const end = `## Values of flags that are refused\n\n| given | said |\n| --- | --- |\n`;
  return [opening, ...sections, `${end}${values.join('\n')}\n`, endpointTable()].join('\n');
}

const aboutEndpoints = `## Endpoints of the API

Of versions 1.24 to 1.50, and what only ts-swarm has. "compared" names the files of \`test/compat/\`
that hold what is answered beside what Docker's own daemon answers in the same run, with a list of
the differences that are meant and their reasons; mistakes are compared by their status and message.
`;

function endpointTable(): string {
  const rows = endpoints.map((endpoint) => {
    const { name, sinceMinor } = endpoint;
    return `| \`${name}\` | ${sinceMinor === 0 ? 'ours' : `1.${sinceMinor}`} | ${hereOf(endpoint)} |`;
  });
  return `${aboutEndpoints}\n| endpoint | since | here |\n| --- | --- | --- |\n${rows.join('\n')}\n`;
}

function hereOf({ compared, mistakes, reason }: Endpoint): string {
  if (reason?.startsWith('refused: ')) return reason;
  const files = [...compared, ...(mistakes.length > 0 ? ['endpoint-cases.ts'] : [])];
  const named = `compared: ${[...new Set(files)].join(', ')}`;
  if (reason === undefined) return `yes; ${named}`;
  return mistakes.length === 0 ? `yes; ${reason}` : `yes; ${reason}; ${named}`;
}
