/** Secrets and configs: small files that the swarm keeps, and puts into the containers of tasks. */
import { base64, optional, record, required, string, struct, type TypeOf } from './codec.ts';
import type { Meta } from './objects.ts';
import { driver, type TaskSpec } from './task-spec.ts';

/** Both are the same but for their size, and that nobody is shown a secret's content. */
export const fileKinds = ['secret', 'config'] as const;
export type FileKind = (typeof fileKinds)[number];

export const fileSpec = struct({
  name: required('Name', string, ''),
  labels: required('Labels', record(string), {}),
  data: optional('Data', base64),
  /** Who is to be asked for the content, in the place of `data`; only secrets have one. */
  driver: optional('Driver', driver),
  /** How placeholders in the content are filled in for each task; absent: they are not. */
  templating: optional('Templating', driver),
});
export type FileSpec = TypeOf<typeof fileSpec>;

/**
 * One version of a secret or a config. The content of an object never changes: an edit makes
 * another object of the same name, with the next revision. The one with the highest is what the
 * name stands for; the others are kept while tasks need them, or a service may go back to them.
 */
export interface FileObject {
  readonly id: string;
  readonly meta: Meta;
  readonly spec: FileSpec;
  /** From 1. */
  readonly revision: number;
}

/** A task's wish for a secret or a config. */
export interface FileReference {
  readonly kind: FileKind;
  readonly id: string;
  readonly name: string;
  readonly file?: NonNullable<NonNullable<TaskSpec['container']>['secrets']>[number]['file'];
}

const none: readonly FileReference[] = [];

/** The secrets and configs that the task's container is to have. */
export function fileReferencesOf({ container }: Pick<TaskSpec, 'container'>) {
  if (container?.secrets === undefined && container?.configs === undefined) return none;
  const { secrets = [], configs = [] } = container;
  return [
    ...secrets.map(({ secretId, secretName, file }): FileReference => ({
      kind: 'secret',
      id: secretId,
      name: secretName,
      ...(file === undefined ? {} : { file }),
    })),
    ...configs.map(({ configId, configName, file }): FileReference => ({
      kind: 'config',
      id: configId,
      name: configName,
      ...(file === undefined ? {} : { file }),
    })),
  ];
}

/** A secret or a config as a worker is given it; without content where it is there no more. */
export interface AssignedFile {
  readonly id: string;
  /** Base64. */
  readonly data?: string;
  /** Placeholders in the content are to be filled in. */
  readonly isTemplate?: boolean;
}
