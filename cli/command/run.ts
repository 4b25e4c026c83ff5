/** From argv to the verb, and from what it throws to words on stderr and an exit code. */
import { SwarmError } from '../../lib/errors.ts';
import { helpFlag, parseArgv } from './argv.ts';
import { arityProblem, flagsOf, type Command } from './command.ts';
import type { Context } from './context.ts';
import { commandError, exitCodeOf, usageError } from './errors.ts';
import { bool, FlagValues, text } from './flags.ts';
import { tree, type Group, type Verb } from './tree.ts';

const programName = 'ts-swarm';

const globalFlags = {
  host: text('host', 'Daemon socket to connect to', { short: 'H' }),
  context: text('context', "Name of the context of docker's to use for the daemon", { short: 'c' }),
  tls: bool('tls', 'Use TLS to a TCP address; implied by --tlsverify'),
  tlscacert: text('tlscacert', 'Trust certificates signed only by this CA'),
  tlscert: text('tlscert', 'Path to TLS certificate file'),
  tlskey: text('tlskey', 'Path to TLS key file'),
  tlsverify: bool('tlsverify', "Use TLS, and verify the daemon's certificate"),
  version: bool('version', 'Print version information and quit', { short: 'v' }),
};

/** Runs one command line. Returns the exit code; never throws. */
export async function run(argv: readonly string[], context: Context): Promise<number> {
  try {
    await dispatch(argv, context);
    return 0;
  } catch (thrown) {
    const error = SwarmError.from(thrown);
    if (error.message !== '') context.err.line(error.message);
    return exitCodeOf(error);
  }
}

async function dispatch(argv: readonly string[], outer: Context): Promise<void> {
  const globals = withHint(programName, () =>
    parseArgv(argv, Object.values(globalFlags), { passThrough: true }),
  );
  const { flags } = globals;
  const context: Context = {
    ...outer,
    host: flags.get(globalFlags.host) ?? outer.host,
    dockerContext: flags.get(globalFlags.context),
    tls: {
      tls: flags.get(globalFlags.tls) === true,
      tlsVerify: flags.get(globalFlags.tlsverify) === true,
      caFile: flags.get(globalFlags.tlscacert),
      certFile: flags.get(globalFlags.tlscert),
      keyFile: flags.get(globalFlags.tlskey),
    },
  };
  if (globals.flags.get(globalFlags.version)) {
    const { ownVersion } = await import('../system/own-version.ts');
    context.out.line(`${programName} version ${ownVersion()}`);
    return;
  }
  const found = find(globals.operands);
  if ('verbs' in found.entry) return groupHelp(found.path, found.entry, found.rest, context);
  const { command } = await found.entry.load();
  const path = [programName, ...found.path].join(' ');
  await runVerb(path, found.entry, command, found.rest, context);
}

async function runVerb(
  path: string,
  verb: Verb,
  command: Command,
  argv: readonly string[],
  context: Context,
): Promise<void> {
  if (command.rawArguments === true) return command.run(context, argv, new FlagValues());
  const declared = flagsOf(command, context);
  const { operands, flags } = withHint(path, () =>
    parseArgv(argv, declared, { passThrough: command.passThrough === true }),
  );
  if (flags.get(helpFlag)) {
    const { verbHelp } = await import('./help.ts');
    context.out.write(verbHelp(path, verb, command, declared, context.out.columns));
    return;
  }
  const problem = arityProblem(command.args, operands.length);
  if (problem !== undefined) {
    throw commandError(
      `"${path}" ${problem}\nSee '${path} --help'.\n\n` +
        `Usage:  ${path} ${command.usage}\n\n${verb.short}`,
    );
  }
  await command.run(context, operands, flags);
}

interface Found {
  readonly path: readonly string[];
  readonly entry: Verb | Group;
  readonly rest: readonly string[];
}

/** The deepest entry that the words name; where a group is reached, `rest` is what it cannot. */
function find(words: readonly string[]): Found {
  let entry: Verb | Group = tree;
  const path: string[] = [];
  let rest = words;
  while ('verbs' in entry) {
    const [word, ...after] = rest;
    const name: string | undefined = word === undefined ? undefined : nameOf(entry, word);
    if (name === undefined) break;
    entry = entry.verbs[name]!;
    path.push(name);
    rest = after;
  }
  return { path, entry, rest };
}

function nameOf(group: Group, word: string): string | undefined {
  if (Object.hasOwn(group.verbs, word)) return word;
  return Object.entries(group.verbs).find(
    ([, entry]) => 'aliases' in entry && entry.aliases?.includes(word),
  )?.[0];
}

async function groupHelp(
  words: readonly string[],
  group: Group,
  rest: readonly string[],
  context: Context,
): Promise<void> {
  const path = [programName, ...words].join(' ');
  const { operands } = withHint(path, () => parseArgv(rest, []));
  if (operands.length > 0) {
    throw usageError(
      `${programName}: '${[...words, operands[0]].join(' ')}' is not a ${programName} command.\n` +
        `See '${path} --help'`,
    );
  }
  const { groupHelp: helpText } = await import('./help.ts');
  const flags = words.length === 0 ? Object.values(globalFlags) : [];
  context.out.write(helpText(path, group, flags, context.out.columns));
}

/** Adds where to read more to what is wrong with the flags. */
function withHint<T>(path: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw usageError(`${SwarmError.from(error).message}\nSee '${path} --help'.`);
  }
}
