/** --secret and --config: a name, and the file that it becomes in the container. */
import { SwarmError } from '../../lib/errors.ts';
import type { ContainerSpec } from '../../types/index.ts';
import { filtersQuery, type Client } from '../client/index.ts';
import { parseCsv, splitPair } from '../format/parse.ts';
import { container, type Draft, type SpecDraft } from './draft.ts';

type FileTarget = Draft<NonNullable<NonNullable<ContainerSpec['secrets']>[number]['file']>>;

interface Reference {
  readonly source: string;
  readonly file: FileTarget;
}

/** `name` or `source=name,target=file,uid=0,gid=0,mode=0444`. */
export function parseReference(text: string): Reference {
  const fields = parseCsv(text);
  if (fields.length === 1 && !text.includes('=')) return reference(text, undefined);
  let source = '';
  let target: string | undefined;
  const owner: Partial<FileTarget> = {};
  for (const field of fields) {
    const [key, value = ''] = splitPair(field);
    if (value === '') throw new Error(`invalid field '${field}' must be a key=value pair`);
    const word = key.toLowerCase();
    if (word === 'source' || word === 'src') source = value;
    else if (word === 'target') target = value;
    else if (word === 'uid' || word === 'gid') owner[word] = value;
    else if (word === 'mode') owner.mode = octal(value);
    else throw new Error(`invalid field in secret or config request: ${key}`);
  }
  if (source === '') throw new Error('source is required');
  return reference(source, target, owner);
}

function reference(
  source: string,
  target: string | undefined,
  owner: Partial<FileTarget> = {},
): Reference {
  return { source, file: { name: target ?? source, uid: '0', gid: '0', mode: 0o444, ...owner } };
}

function octal(text: string): number {
  if (!/^[0-7]+$/.test(text)) throw new Error(`invalid mode specified: ${text}`);
  return parseInt(text, 8);
}

/** Fills in the ids of the secrets and configs that flags named. Throws where one is not there. */
export async function resolveReferences(spec: SpecDraft, client: Client): Promise<void> {
  const { secrets = [], configs = [] } = container(spec);
  const namelessSecrets = secrets.filter(({ secretId }) => secretId === '');
  const secretIds = await idsOf(
    client,
    'secret',
    namelessSecrets.map((entry) => entry.secretName),
  );
  for (const entry of namelessSecrets) entry.secretId = secretIds.get(entry.secretName)!;
  const namelessConfigs = configs.filter(({ configId }) => configId === '');
  const configIds = await idsOf(
    client,
    'config',
    namelessConfigs.map((entry) => entry.configName),
  );
  for (const entry of namelessConfigs) entry.configId = configIds.get(entry.configName)!;
}

async function idsOf(
  client: Client,
  kind: 'secret' | 'config',
  names: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  if (names.length === 0) return new Map();
  const found = await client.get<{ ID: string; Spec: { Name: string } }[] | null>(`/${kind}s`, {
    filters: filtersQuery({ name: names }),
  });
  const ids = new Map((found ?? []).map((object) => [object.Spec.Name, object.ID]));
  const missing = names.find((name) => !ids.has(name));
  if (missing !== undefined) throw new SwarmError('not-found', `${kind} not found: ${missing}`);
  return ids;
}
