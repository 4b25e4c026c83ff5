/** Secrets and configs as the API shows them, and how they are found. */
import type { FileKind } from '../../types/index.ts';
import type { Client } from '../client/index.ts';

export interface WireFile {
  readonly ID: string;
  readonly Version: { readonly Index: number };
  readonly CreatedAt: string;
  readonly UpdatedAt: string;
  readonly Spec: {
    readonly Name: string;
    readonly Labels?: Readonly<Record<string, string>> | null;
    /** Base64; never there for secrets. */
    readonly Data?: string;
    readonly Driver?: { readonly Name: string };
  };
}

/** Throws the daemon's "not found". */
export function findFile(client: Client, kind: FileKind, reference: string): Promise<WireFile> {
  return client.get<WireFile>(`/${kind}s/${encodeURIComponent(reference)}`);
}
