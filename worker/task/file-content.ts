/** What a task's secrets and configs are in its container: where they lie, and what is in them. */
import { SwarmError } from '../../lib/errors.ts';
import {
  fileReferencesOf,
  type AssignedFile,
  type AssignedTask,
  type FileReference,
} from '../../types/index.ts';
import { contextOf, type NodeFacts } from './container-config.ts';
import { expandFile } from './file-template.ts';
import { expandTemplate } from '../../lib/template.ts';

/** A file in memory, as the container is to see it. */
export interface TaskFile {
  readonly target: string;
  readonly content: Uint8Array;
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
}

/**
 * Throws SwarmError `invalid-argument` for a placeholder that cannot be filled in: the task is then
 * rejected. `files` holds all that the task refers to, by id.
 */
export function taskFiles(
  task: AssignedTask,
  files: ReadonlyMap<string, AssignedFile>,
  node: NodeFacts,
): TaskFile[] {
  const references = fileReferencesOf(task.spec);
  if (references.length === 0) return [];
  const context = contextOf(task, node);
  const env = (task.spec.container?.env ?? []).map((line) => expandTemplate(line, context));
  const contentOf = ({ id }: FileReference) => Buffer.from(files.get(id)?.data ?? '', 'base64');
  return references.map((reference) => {
    const { kind, id, name, file } = reference;
    if (file === undefined) {
      throw new SwarmError('invalid-argument', `the ${kind} ${name} has no place in the container`);
    }
    const raw = contentOf(reference);
    const content =
      files.get(id)?.isTemplate === true
        ? expandFile(raw, {
            ...context,
            env,
            what: `${kind} ${name}`,
            file: (wanted, target) => {
              const found = references.find(
                (one) => one.kind === wanted && one.file?.name === target,
              );
              return found === undefined ? undefined : contentOf(found);
            },
          })
        : raw;
    return {
      target: targetOf(kind, file.name),
      content,
      uid: Number(file.uid),
      gid: Number(file.gid),
      mode: file.mode & 0o7777,
    };
  });
}

/** Docker's places: secrets have a folder of their own, configs are at the root. */
function targetOf(kind: FileReference['kind'], name: string): string {
  if (name.startsWith('/')) return name;
  return kind === 'secret' ? `/run/secrets/${name}` : `/${name}`;
}
