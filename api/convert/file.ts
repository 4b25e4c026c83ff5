/** Secrets and configs as the Docker Engine API writes them. Nobody is shown a secret's content. */
import { fileSpec, type FileKind, type FileObject } from '../../types/index.ts';
import type { JsonObject } from './json.ts';
import { metaJson } from './meta.ts';

export function fileJson(kind: FileKind, { id, meta, spec }: FileObject): JsonObject {
  const { data, ...shown } = spec;
  return {
    ID: id,
    ...metaJson(meta),
    Spec: fileSpec.encode(
      kind === 'config' && data !== undefined ? { ...shown, data } : shown,
    ) as JsonObject,
  };
}
