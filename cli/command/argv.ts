/** Reads argv with commander, bent to the rules of Docker's flags (Go's pflag). */
import { Command as Parser, CommanderError, Option } from 'commander';
import { messageOf } from '../../lib/errors.ts';
import { usageError } from './errors.ts';
import { bool, booleanWords, FlagValues, type Flag } from './flags.ts';

export const helpFlag = bool('help', 'Print usage');

interface Parsed {
  readonly operands: readonly string[];
  readonly flags: FlagValues;
}

/**
 * A flag as commander's option. Docker has switches named --no-…, which are flags of their own and
 * not the opposite of another one.
 */
class PlainOption extends Option {
  constructor(flags: string, help: string) {
    super(flags, help);
    this.negate = false;
  }

  override attributeName(): string {
    return this.name();
  }
}

/** Throws a usage error in Docker's words. */
export function parseArgv(
  argv: readonly string[],
  declared: readonly Flag<unknown>[],
  { passThrough = false }: { passThrough?: boolean } = {},
): Parsed {
  const values = new FlagValues();
  const parser = new Parser()
    .exitOverride()
    .configureOutput({ writeErr: () => undefined })
    .helpOption(false)
    .argument('[operands...]')
    .action(() => undefined)
    .enablePositionalOptions()
    .passThroughOptions(passThrough);
  for (const flag of [...declared, helpFlag]) addFlag(parser, flag, values);
  try {
    parser.parse(argv, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    throw usageError(inDockersWords(error, argv));
  }
  return { operands: parser.args, flags: values };
}

function addFlag(parser: Parser, flag: Flag<unknown>, values: FlagValues): void {
  const names = flag.short === undefined ? `--${flag.name}` : `-${flag.short}, --${flag.name}`;
  const add = (value: string) => {
    try {
      values.add(flag, value);
    } catch (error) {
      throw usageError(
        `invalid argument ${JSON.stringify(value)} for "${names}" flag: ${messageOf(error)}`,
      );
    }
  };
  if (flag.word !== '') {
    parser.addOption(new PlainOption(`${names} <value>`, flag.help));
    parser.on(`option:${flag.name}`, add);
    return;
  }
  parser.addOption(new PlainOption(names, flag.help));
  parser.on(`option:${flag.name}`, () => add('true'));
  // A switch takes a value only after an equals sign: each spelling is an option to commander.
  for (const word of booleanWords) {
    const name = `${flag.name}=${word}`;
    parser.addOption(new PlainOption(`--${name}`, flag.help));
    parser.on(`option:${name}`, () => add(word));
  }
}

function inDockersWords(error: CommanderError, argv: readonly string[]): string {
  const named = /'([^']*)'/.exec(error.message)?.[1] ?? '';
  if (error.code === 'commander.optionMissingArgument') {
    const [short, long] = named.split(/[ ,]+/);
    const last = argv.at(-1) ?? '';
    const byShort = short !== undefined && /^-[^-]/.test(last) && /^-[^-]$/.test(short);
    if (byShort) return `flag needs an argument: '${short[1]}' in ${last}`;
    return `flag needs an argument: ${long?.startsWith('--') ? long : short}`;
  }
  if (error.code === 'commander.unknownOption') {
    if (named.startsWith('--')) return `unknown flag: ${named.split('=', 1)[0]}`;
    return `unknown shorthand flag: '${named[1]}' in ${named}`;
  }
  return error.message.replace(/^error: /, '');
}
