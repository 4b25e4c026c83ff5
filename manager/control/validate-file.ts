/** Docker's rules for secrets and configs, and for naming them in services. Pure. */
import { SwarmError } from '../../lib/errors.ts';
import { whyUnfillable } from '../../lib/template.ts';
import {
  fileReferencesOf,
  type FileKind,
  type FileReference,
  type FileSpec,
  type ServiceSpec,
} from '../../types/index.ts';
import type { StoreView } from '../store/view.ts';

const nameLengthMax = 64;
const namePattern = /^[a-zA-Z0-9]+(?:[a-zA-Z0-9-_.]*[a-zA-Z0-9])?$/;
/** What only the contents of files may name, besides what hostnames may. */
const fileFunctions = { env: () => '', secret: () => '', config: () => '' };
/** A content must be smaller. */
const bytesMax: Readonly<Record<FileKind, number>> = { secret: 500 * 1024, config: 1000 * 1024 };
const kinds = { secret: 'secrets', config: 'configs' } as const;

/** Throws `invalid-argument` in Docker's words, `unimplemented` for what is not done here. */
export function validateFile(kind: FileKind, spec: FileSpec): void {
  if (spec.name === '') throw invalid('name must be provided');
  if (spec.name.length > nameLengthMax || !namePattern.test(spec.name)) {
    throw invalid(
      `invalid name, only ${nameLengthMax} [a-zA-Z0-9-_.] characters allowed, ` +
        'and the start and end character must be [a-zA-Z0-9]',
    );
  }
  if (spec.driver !== undefined) {
    if ((spec.driver.name ?? '') === '') throw invalid(`${kind} driver must have a name`);
    throw new SwarmError(
      'unimplemented',
      `${kind} drivers are not supported by this version ("${spec.driver.name}"): ` +
        `give the ${kind}'s content`,
    );
  }
  validateTemplating(kind, spec);
  validateContent(kind, spec.data);
}

function validateContent(kind: FileKind, data = ''): void {
  const bytes = Buffer.byteLength(data, 'base64');
  if (bytes >= 1 && bytes < bytesMax[kind]) return;
  throw invalid(`${kind} data must be larger than 0 and less than ${bytesMax[kind]} bytes`);
}

function validateTemplating(kind: FileKind, { name, data, templating }: FileSpec): void {
  if (templating === undefined) return;
  if (templating.name !== 'golang') {
    throw invalid(
      `the template driver "${templating.name ?? ''}" of the ${kind} is not known: use golang`,
    );
  }
  const text = Buffer.from(data ?? '', 'base64').toString('latin1');
  const why = whyUnfillable(text, fileFunctions);
  if (why === undefined) return;
  // A secret's content is not repeated: it would end up in terminals and logs.
  const line = /^template: :(\d+)/.exec(why)?.[1] ?? '1';
  const shown = kind === 'config' ? ` (${why})` : ` (line ${line})`;
  throw invalid(
    `the ${kind} ${name} is not a template that can be filled in${shown}: use those of a hostname ` +
      '(.Service.Name, .Node.Hostname, .Task.Slot …), env "NAME", secret "TARGET" or ' +
      'config "TARGET"',
  );
}

/** What a spec says of its secrets and configs, before anybody looks whether they are there. */
export function validateFileReferences(spec: Pick<ServiceSpec, 'task'>): void {
  const { container } = spec.task;
  if (container?.configs?.some(({ runtime }) => runtime !== undefined) === true) {
    throw new SwarmError(
      'unimplemented',
      'configs for the runtime are credential specs, which are for Windows containers; ' +
        'this swarm runs Linux ones',
    );
  }
  const references = fileReferencesOf(spec.task);
  for (const kind of ['secret', 'config'] as const) {
    const byTarget = new Map<string, string>();
    for (const reference of references) {
      if (reference.kind !== kind) continue;
      const target = targetOf(reference);
      const other = byTarget.get(target);
      if (other !== undefined) {
        throw invalid(
          `${kind} references '${other}' and '${reference.name}' have a conflicting target: ` +
            `'${target}'`,
        );
      }
      byTarget.set(target, reference.name);
    }
  }
}

function targetOf({ kind, id, name, file }: FileReference): string {
  if (id === '' || name === '') throw invalid(`malformed ${kind} reference`);
  if (file === undefined) throw invalid(`malformed ${kind} reference, no target provided`);
  if (file.name === '') {
    throw invalid(`malformed file ${kind} reference, invalid target file name provided`);
  }
  if (file.name.split('/').includes('..')) {
    throw invalid(`the target '${file.name}' of ${kind} ${name} must not leave its folder`);
  }
  for (const [what, number] of Object.entries({ uid: file.uid, gid: file.gid })) {
    if (!/^\d{1,9}$/.test(number)) {
      throw invalid(`the ${what} '${number}' of ${kind} ${name} is not a number`);
    }
  }
  return file.name;
}

/** Throws Docker's sentence where one that the spec names is not there. */
export function requireFiles(view: Pick<StoreView, 'file'>, spec: Pick<ServiceSpec, 'task'>): void {
  const missing = fileReferencesOf(spec.task).filter(({ kind, id }) => !view.file(kind, id));
  const [first] = missing;
  if (first === undefined) return;
  const names = missing.filter(({ kind }) => kind === first.kind).map(({ name }) => name);
  const word = names.length > 1 ? kinds[first.kind] : first.kind;
  throw invalid(`${word} not found: ${names.join(', ')}`);
}

function invalid(message: string): SwarmError {
  return new SwarmError('invalid-argument', message);
}
