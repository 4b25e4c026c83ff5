/** From files to one document: parsed, interpolated, included, extended, merged, by profile. */
import { SwarmError } from '../lib/errors.ts';
import { own } from '../lib/own.ts';
import { parseDotenv } from './dotenv.ts';
import { interpolateNode, type Lookup } from './interpolate.ts';
import { merge, withoutTags } from './merge.ts';
import {
  child,
  mapping,
  placeText,
  withChildren,
  type Entry,
  type Mapping,
  type Node,
} from './node.ts';
import { normalizeFile } from './normalize.ts';
import { parseYaml } from './parse.ts';
import { folderOf, resolvePath } from './paths.ts';
import { Problems } from './problems.ts';

/** What the library asks of the outside: files and variables. */
export interface Sources {
  /** The bytes of a file by its absolute path; undefined where there is none. */
  readonly readFile: (path: string) => Uint8Array | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** How a file's name is shown in messages: relative to where the user is. */
  readonly shownPath: (path: string) => string;
}

export interface LoadOptions {
  /** Absolute paths; later files change what earlier ones say. `-` is for what `stdin` holds. */
  readonly files: readonly string[];
  readonly stdin?: string;
  /** Absolute; the folder of the first file where absent. */
  readonly projectFolder?: string;
  /** Absolute, in place of `.env` in the project's folder. */
  readonly envFiles?: readonly string[];
  /** `*` stands for all. */
  readonly profiles: readonly string[];
  /** The stack's name: what the files know as COMPOSE_PROJECT_NAME. */
  readonly name: string;
  /** False leaves variables as they stand, and with them the short forms that hold some. */
  readonly interpolate?: boolean;
}

export interface Project {
  readonly root: Mapping;
  readonly folder: string;
  /** The environment that values were taken from. */
  readonly lookup: Lookup;
  readonly problems: Problems;
}

const maxIncludes = 100;

interface Scope {
  readonly folder: string;
  readonly lookup: Lookup;
  /** The files that lead here, by `include` or `extends`. */
  readonly trail: readonly string[];
}

/** Throws `invalid-argument` when a file is missing; what else is wrong goes to `problems`. */
export function loadProject(options: LoadOptions, sources: Sources): Project {
  const loader = new Loader(sources, options);
  const first = options.files[0] ?? '-';
  const folder = options.projectFolder ?? (first === '-' ? '/' : folderOf(first));
  const env: Sources['env'] = { ...sources.env, COMPOSE_PROJECT_NAME: options.name };
  const lookup = loader.environment(folder, options.envFiles, (name) => own(env, name));
  const merged = loader.loadAll(options.files, { folder, lookup, trail: [] });
  const root = withoutTags(merged) as Mapping;
  const { problems } = loader;
  return { root: withProfiles(root, options.profiles, problems), folder, lookup, problems };
}

class Loader {
  readonly problems = new Problems();
  readonly #sources: Sources;
  readonly #stdin: string | undefined;
  readonly #interpolates: boolean;
  #included = 0;

  constructor(sources: Sources, { stdin, interpolate }: LoadOptions) {
    this.#sources = sources;
    this.#stdin = stdin;
    this.#interpolates = interpolate ?? true;
  }

  environment(folder: string, files: readonly string[] | undefined, outer: Lookup): Lookup {
    const values = new Map<string, string>();
    const lookup: Lookup = (name) => outer(name) ?? values.get(name);
    for (const path of files ?? [`${folder}/.env`]) {
      const bytes = this.#sources.readFile(path);
      const shown = this.#sources.shownPath(path);
      if (bytes === undefined && files !== undefined) throw missing(`env file ${shown}`);
      if (bytes === undefined) continue;
      const text = new TextDecoder().decode(bytes);
      for (const [name, value] of parseDotenv(text, shown, { lookup }, this.problems)) {
        values.set(name, value);
      }
    }
    return lookup;
  }

  loadAll(files: readonly string[], scope: Scope): Mapping {
    let merged: Mapping | undefined;
    for (const file of files) {
      for (const document of this.#documents(file, scope)) {
        merged = merged === undefined ? document : (merge(merged, document) as Mapping);
      }
    }
    return merged ?? mapping(new Map(), { at: { file: files[0] ?? '-', line: 1, column: 1 } });
  }

  #documents(file: string, scope: Scope): Mapping[] {
    return this.#read(file, scope).map((root) => {
      const extended = this.#extendAll(root, file, scope);
      return this.#include(extended, scope, file);
    });
  }

  #read(file: string, scope: Scope): Mapping[] {
    const { problems } = this;
    const shown = file === '-' ? 'stdin' : this.#sources.shownPath(file);
    const text = file === '-' ? this.#stdin : this.#text(file);
    if (text === undefined) throw missing(`compose file ${shown}`);
    return parseYaml(text, shown, problems).flatMap((document) => {
      if (document.kind !== 'mapping') {
        problems.addBroken(document.at, 'a compose file is a mapping with "services" and the like');
        return [];
      }
      const { lookup, folder } = scope;
      const values = this.#interpolates
        ? (interpolateNode(document, { lookup }, problems) as Mapping)
        : document;
      const home = this.#sources.env['HOME'];
      const keepsVariables = !this.#interpolates;
      return [normalizeFile(values, { baseFolder: folder, home, problems, keepsVariables })];
    });
  }

  #text(path: string): string | undefined {
    const bytes = this.#sources.readFile(path);
    return bytes === undefined ? undefined : new TextDecoder().decode(bytes);
  }

  #include(root: Mapping, scope: Scope, file: string): Mapping {
    const list = child(root, 'include');
    if (list === undefined) return root;
    let result = withChildren(root, (value, key) => (key === 'include' ? undefined : value));
    for (const item of list.kind === 'sequence' ? list.items : []) {
      const included = this.#includedFrom(item, scope, file);
      if (included !== undefined) result = this.#joined(result, included);
    }
    return result;
  }

  #includedFrom(item: Node, scope: Scope, file: string): Mapping | undefined {
    const paths = texts(child(item, 'path')).map((path) => this.#resolve(scope.folder, path));
    const first = paths[0];
    if (first === undefined) {
      this.problems.addBroken(item.at, 'include: name a file, or a mapping with its path');
      return undefined;
    }
    const trail = [...scope.trail, file];
    if (trail.includes(first) || ++this.#included > maxIncludes) {
      this.problems.addBroken(
        item.at,
        `include: ${this.#sources.shownPath(first)} includes itself`,
      );
      return undefined;
    }
    const [given] = texts(child(item, 'project_directory'));
    const folder = given === undefined ? folderOf(first) : this.#resolve(scope.folder, given);
    const envFiles = texts(child(item, 'env_file')).map((path) =>
      this.#resolve(scope.folder, path),
    );
    const lookup = this.environment(
      folder,
      envFiles.length > 0 ? envFiles : undefined,
      scope.lookup,
    );
    return this.loadAll(paths, { folder, lookup, trail });
  }

  /** What is included may not be said again: whoever wants to change it overrides it there. */
  #joined(root: Mapping, included: Mapping): Mapping {
    const entries = new Map<string, Entry>(root.entries);
    for (const [section, entry] of included.entries) {
      const own = root.entries.get(section);
      if (own === undefined || own.value.kind !== 'mapping' || entry.value.kind !== 'mapping') {
        if (own === undefined) entries.set(section, entry);
        continue;
      }
      for (const [name, theirs] of entry.value.entries) {
        const mine = own.value.entries.get(name);
        if (mine === undefined || sameValue(mine.value, theirs.value)) continue;
        this.problems.addBroken(
          mine.keyAt,
          `${section}.${name} is included from ${placeText(theirs.keyAt)} already: rename one, or ` +
            'change it in a further file of that include',
        );
      }
      const both = new Map([...entry.value.entries, ...own.value.entries]);
      entries.set(section, { keyAt: own.keyAt, value: mapping(both, own.value) });
    }
    return mapping(entries, root);
  }

  #extendAll(root: Mapping, file: string, scope: Scope): Mapping {
    return withChildren(root, (section, key) =>
      key === 'services' && section.kind === 'mapping'
        ? withChildren(section, (service, name) => this.#extended(service, name, root, file, scope))
        : section,
    );
  }

  #extended(service: Node, name: string, root: Mapping, file: string, scope: Scope): Node {
    const extend = child(service, 'extends');
    if (extend === undefined || service.kind !== 'mapping') return service;
    const own = withChildren(service, (value, key) => (key === 'extends' ? undefined : value));
    const [baseName] = texts(child(extend, 'service'));
    const [baseFile = file] = texts(child(extend, 'file'));
    if (baseName === undefined) {
      this.problems.addBroken(extend.at, `services.${name}.extends: name the service`);
      return own;
    }
    const step = `${baseFile}#${baseName}`;
    const trail = [...scope.trail, `${file}#${name}`];
    if (trail.includes(step)) {
      this.problems.addBroken(extend.at, `services.${name} extends itself by way of ${baseName}`);
      return own;
    }
    const folder = baseFile === file ? scope.folder : folderOf(baseFile);
    const baseScope = { ...scope, folder, trail };
    const baseRoot = baseFile === file ? root : this.#extendFile(baseFile, baseScope, extend);
    const base = child(child(baseRoot, 'services'), baseName);
    if (base === undefined) {
      const where = this.#sources.shownPath(baseFile);
      this.problems.addBroken(
        extend.at,
        `services.${name} extends ${baseName}, which is not in ${where}`,
      );
      return own;
    }
    const whole = this.#extended(base, baseName, baseRoot!, baseFile, baseScope);
    return merge(whole, own, 'services.*');
  }

  #extendFile(file: string, scope: Scope, extend: Node): Mapping | undefined {
    if (this.#sources.readFile(file) === undefined) {
      this.problems.addBroken(
        extend.at,
        `extends: there is no file ${this.#sources.shownPath(file)}`,
      );
      return undefined;
    }
    return this.#read(file, scope)[0];
  }

  #resolve(folder: string, path: string): string {
    return resolvePath(folder, path, this.#sources.env['HOME']);
  }
}

/** Leaves out services whose profiles are not asked for, and what depends on them if it may. */
function withProfiles(root: Mapping, asked: readonly string[], problems: Problems): Mapping {
  const services = child(root, 'services');
  if (services?.kind !== 'mapping') return root;
  const isOff = (service: Node) => {
    const profiles = texts(child(service, 'profiles'));
    return profiles.length > 0 && !asked.includes('*') && !profiles.some((p) => asked.includes(p));
  };
  const off = new Set([...services.entries].flatMap(([k, { value }]) => (isOff(value) ? [k] : [])));
  const kept = withChildren(services, (service, name) => {
    if (off.has(name) || service.kind !== 'mapping') return off.has(name) ? undefined : service;
    return withChildren(service, (value, key) =>
      key === 'depends_on' && value.kind === 'mapping'
        ? withChildren(value, (dependency, on) => {
            if (!off.has(on)) return dependency;
            const required = child(dependency, 'required');
            if (required?.kind === 'scalar' && required.value === false) return undefined;
            problems.add(
              dependency.at,
              `services.${name} depends on ${on}, whose profile is not active: give --profile, or ` +
                'say "required: false"',
            );
            return undefined;
          })
        : value,
    );
  });
  return withChildren(root, (value, key) => (key === 'services' ? kept : value));
}

/** A text, or a list of texts. */
function texts(node: Node | undefined): string[] {
  const list = node?.kind === 'sequence' ? node.items : node === undefined ? [] : [node];
  return list.flatMap((item) =>
    item.kind === 'scalar' && item.value !== null ? [String(item.value)] : [],
  );
}

function sameValue(a: Node, b: Node): boolean {
  if (a.kind === 'scalar' || b.kind === 'scalar') {
    return a.kind === 'scalar' && b.kind === 'scalar' && a.value === b.value;
  }
  if (a.kind === 'sequence' || b.kind === 'sequence') {
    return (
      a.kind === 'sequence' &&
      b.kind === 'sequence' &&
      a.items.length === b.items.length &&
      a.items.every((item, index) => sameValue(item, b.items[index]!))
    );
  }
  return (
    a.entries.size === b.entries.size &&
    [...a.entries].every(([key, { value }]) => {
      const other = b.entries.get(key);
      return other !== undefined && sameValue(value, other.value);
    })
  );
}

function missing(what: string): SwarmError {
  return new SwarmError('invalid-argument', `${what}: no such file`);
}
