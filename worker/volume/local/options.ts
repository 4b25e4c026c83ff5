/** Names and options of local volumes: Docker's rules, in its words. Pure. */
import { SwarmError } from '../../../lib/errors.ts';

type Options = Readonly<Record<string, string>> | null;

const known = ['type', 'o', 'device', 'size'];
/** What an option is of no use without. */
const needs: Readonly<Record<string, readonly string[]>> = {
  device: ['type'],
  type: ['device'],
  o: ['device', 'type'],
};
const nameBytesMax = 255;

/** Throws `invalid-argument`. */
export function checkName(name: string): void {
  if (name.length === 1) {
    throw invalid('volume name is too short, names should be at least two alphanumeric characters');
  }
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/.test(name)) {
    throw invalid(
      `"${name}" includes invalid characters for a local volume name, only ` +
        '"[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use ' +
        'absolute path',
    );
  }
  if (name.length > nameBytesMax) {
    throw invalid(`volume name is too long, names may have ${nameBytesMax} characters`);
  }
}

/** Throws `invalid-argument`. */
export function checkOptions(options: Options): void {
  const given = Object.keys(options ?? {});
  const unknown = given.find((name) => !known.includes(name));
  if (unknown !== undefined) throw invalid(`invalid option: "${unknown}"`);
  if (given.includes('size')) throw invalid('quota size requested but no quota support');
  for (const name of given) {
    const missing = needs[name]?.find((other) => !given.includes(other));
    if (missing !== undefined) throw invalid(`missing required option: "${missing}"`);
  }
}

/** mount(8)'s arguments; undefined for a volume that is just a folder. */
export function mountArguments(options: Options, target: string): readonly string[] | undefined {
  const { type = '', device = '', o = '' } = options ?? {};
  if (type === '' && device === '' && o === '') return undefined;
  return [
    ...(type === '' ? [] : ['-t', type]),
    ...(o === '' ? [] : ['-o', o]),
    '--',
    device,
    target,
  ];
}

function invalid(message: string): SwarmError {
  return new SwarmError('invalid-argument', message);
}
