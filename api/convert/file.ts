/** Secrets and configs as the Docker Engine API writes them. Nobody is shown a secret's content. */
import type { StoreView } from '../../manager/store/view.ts';
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

/** One of the contents that a name has stood for, and who uses it. */
export function revisionJson(
  { id, meta, revision }: FileObject,
  view: Pick<StoreView, 'servicesOfFile'>,
): JsonObject {
  const names = [...view.servicesOfFile(id)].map(({ spec }) => spec.name);
  return { ID: id, ...metaJson(meta), Revision: revision, Services: names.sort() };
}
