/** `secrets` and `configs`: their contents, and how services mount them. */
import { present } from './convert-deploy.ts';
import { externalName } from './convert-mounts.ts';
import type { Lookup } from './interpolate.ts';
import type { Sources } from './load.ts';
import type { Field, Reader } from './read.ts';
import { contentLabel, fileLabel, scoped, stackLabel, type StackFile } from './stack.ts';

interface FileContext {
  readonly read: Reader;
  readonly name: string;
  readonly sources: Sources;
  readonly lookup: Lookup;
  readonly hash: (content: Uint8Array, salt: string) => string;
}

type Kind = 'secrets' | 'configs';

/** What is attached to a container: which file, and where it is to be. */
interface AttachedFile {
  readonly name: string;
  readonly file: { readonly name: string; uid: string; gid: string; mode: number };
}

export function convertFiles(
  context: FileContext,
  section: Field,
  kind: Kind,
): ReadonlyMap<string, StackFile> {
  const { read } = context;
  const files = new Map<string, StackFile>();
  for (const [key, field, at] of read.entries(section)) {
    if (field.node === undefined) {
      read.problems.add(at, `${field.name} needs a file, an environment variable, or external`);
      continue;
    }
    if (!read.keys(field, `${kind}.*`)) continue;
    const given = read.text(read.at(field, 'name'));
    const external = externalName(read, field);
    if (external !== undefined) {
      files.set(key, { key, at, name: external === '' ? (given ?? key) : external });
      continue;
    }
    const bytes = contentOf(context, field, at);
    if (bytes === undefined) continue;
    const templateDriver = read.text(read.at(field, 'template_driver'));
    const labels = read.record(read.at(field, 'labels'));
    // A name that is ours to choose tells the content, so that a change makes another file.
    const version = versionOf(context, `${kind}/${key}`, bytes, templateDriver);
    files.set(key, {
      key,
      at,
      name: given ?? `${scoped(context.name, key)}_${version}`,
      content: {
        data: Buffer.from(bytes).toString('base64'),
        labels: {
          ...labels,
          [stackLabel]: context.name,
          [fileLabel]: key,
          ...(given === undefined ? {} : { [contentLabel]: version }),
        },
        versioned: given === undefined,
        ...present({ templateDriver }),
      },
    });
  }
  return files;
}

function versionOf(
  { hash }: FileContext,
  salt: string,
  bytes: Uint8Array,
  driver: string | undefined,
): string {
  return hash(bytes, driver === undefined ? salt : `${salt}/${driver}`);
}

function contentOf(
  context: FileContext,
  field: Field,
  at: StackFile['at'],
): Uint8Array | undefined {
  const { read, sources, lookup } = context;
  const file = read.at(field, 'file');
  const environment = read.at(field, 'environment');
  const content = read.at(field, 'content');
  const given = [file, environment, content].filter(({ node }) => node !== undefined);
  if (given.length !== 1) {
    read.problems.add(at, `${field.name} needs one of file, environment, content or external`);
    return undefined;
  }
  if (content.node !== undefined) return new TextEncoder().encode(read.text(content) ?? '');
  if (environment.node !== undefined) {
    const name = read.text(environment) ?? '';
    const value = lookup(name);
    if (value === undefined) {
      read.problems.add(environment.node.at, `${field.name}: the variable ${name} is not set`);
    }
    return value === undefined ? undefined : new TextEncoder().encode(value);
  }
  const path = read.text(file) ?? '';
  const bytes = sources.readFile(path);
  if (bytes === undefined) {
    read.problems.add(file.node!.at, `${field.name}: there is no file ${sources.shownPath(path)}`);
  }
  return bytes;
}

export function attachFiles(
  read: Reader,
  service: Field,
  kind: Kind,
  files: ReadonlyMap<string, StackFile>,
): readonly AttachedFile[] {
  const attached = read.items(read.at(service, kind)).flatMap((item): AttachedFile[] => {
    if (!read.keys(item, `services.*.${kind}`)) return [];
    const source = read.text(read.at(item, 'source'));
    const found = source === undefined ? undefined : files.get(source);
    if (source === undefined || found === undefined) {
      // A file that has something wrong with it is told of where it is declared.
      if (
        source === undefined ||
        !read.problems.errors.some(({ message }) => message.startsWith(`${kind}.${source}`))
      ) {
        read.problems.add(
          item.node!.at,
          `${item.name}: there is no ${kind.slice(0, -1)} "${source ?? ''}": declare it under ${kind}`,
        );
      }
      return [];
    }
    return [
      {
        name: found.name,
        file: {
          name: read.text(read.at(item, 'target')) ?? (kind === 'configs' ? `/${source}` : source),
          uid: read.text(read.at(item, 'uid')) ?? '0',
          gid: read.text(read.at(item, 'gid')) ?? '0',
          mode: read.mode(read.at(item, 'mode')) ?? 0o444,
        },
      },
    ];
  });
  return attached.toSorted((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
}
