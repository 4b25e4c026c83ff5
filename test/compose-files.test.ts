/**
 * Compose files of other people: each becomes what its text file says, or is refused with just
 * those sentences. What docker-compose 1.29 makes of them must mean the same to us as the files.
 * COMPOSE_FILES=write writes the texts anew.
 */
import { strict as assert } from 'node:assert';
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { stringify } from 'yaml';
import { compose, type Composed } from '../compose/index.ts';
import { messageOf } from '../lib/errors.ts';
import { networkSpec, serviceSpec } from '../types/index.ts';

const folder = join(import.meta.dirname, 'data/compose');
const names = readdirSync(folder)
  .filter((name) => name.endsWith('.yaml'))
  .map((name) => name.replace('.yaml', ''));
const home = '/home/me';

/** Files that the Compose files name, besides `.env`. */
function fileText(path: string): string | undefined {
  if (path.endsWith('.env-local') || path === '/project/.env') return undefined;
  return `FROM=${path}\n`;
}

function composed(text: string): Composed {
  return compose(
    { name: 'app', files: ['/project/compose.yaml'], profiles: ['*'] },
    {
      readFile(path) {
        const found = path === '/project/compose.yaml' ? text : fileText(path);
        return found === undefined ? undefined : new TextEncoder().encode(found);
      },
      env: { HOME: home },
      shownPath: (path) => path.replace('/project/', ''),
    },
    () => 'v1',
  );
}

/** What the API would get. */
function asked({ stack }: Composed): unknown {
  return {
    services: byName(stack.services.map(({ spec }) => spec)).map((spec) =>
      serviceSpec.encode(spec),
    ),
    networks: byName(stack.networks).map(({ name, spec }) =>
      spec === undefined ? { external: name } : networkSpec.encode(spec),
    ),
    files: byName([...stack.secrets, ...stack.configs]).map(({ name, content }) => ({
      name,
      data: content === undefined ? 'external' : Buffer.from(content.data, 'base64').toString(),
    })),
  };
}

/** The order of a document's keys is another one in docker-compose's. */
function byName<T extends { readonly name: string }>(list: readonly T[]): readonly T[] {
  return list.toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

function textOf(text: string): string {
  try {
    const result = composed(text);
    const warnings = result.warnings.map((warning) => `warning: ${warning}\n`).join('');
    return `${warnings}${stringify(asked(result), { lineWidth: 0, aliasDuplicateObjects: false })}`;
  } catch (error) {
    return `${messageOf(error)}\n`;
  }
}

const read = (name: string) => readFileSync(join(folder, `${name}.yaml`), 'utf8');

describe('compose files of other people', () => {
  it('are many, and each is named with its source', () => {
    const readme = readFileSync(join(folder, 'README.md'), 'utf8');
    assert.ok(names.length >= 30, `${names.length} files`);
    const sources = readme.matchAll(/^\| (\S+) \| \S+\/\S+ \| \S.* \| (?:CC0|MIT|Apache)\S* \|$/gm);
    assert.deepEqual([...sources].map(([, name = '']) => name).toSorted(), names.toSorted());
  });

  for (const name of names) {
    it(name, () => {
      const path = join(folder, `${name}.txt`);
      const got = textOf(read(name));
      if (process.env['COMPOSE_FILES'] === 'write') writeFileSync(path, got);
      assert.equal(got, readFileSync(path, 'utf8'));
    });
  }

  it('mean the same when docker-compose has merged them', function check() {
    this.timeout(600_000);
    if (!existsSync('/usr/bin/docker-compose')) this.skip();
    const place = mkdtempSync(join(tmpdir(), 'compose-files-'));
    try {
      const ours = Object.fromEntries(names.map((name) => [name, textOf(read(name))]));
      const accepted = names.filter((name) => !/^\S+:\d+:\d+: /.test(ours[name] ?? ''));
      const theirs = mergedByOthers(place, accepted);
      const compared = accepted.filter((name) => theirs[name] !== null);
      assert.ok(compared.length >= 15, `only ${compared.join(', ')} can be compared`);
      for (const name of compared) {
        assert.deepEqual(asked(composed(theirs[name]!)), asked(composed(read(name))), name);
      }
    } finally {
      rmSync(place, { recursive: true });
    }
  });
});

/** The files as docker-compose 1.29 merges them, with our folder in place of theirs. */
function mergedByOthers(place: string, wanted: readonly string[]): Record<string, string | null> {
  const paths = wanted.map((name) => {
    const path = join(place, name, 'project', 'compose.yaml');
    mkdirSync(dirname(path), { recursive: true });
    // It knows no files without a version.
    const text = read(name);
    writeFileSync(path, text.includes('version:') ? text : `version: "3.9"\n${text}`);
    for (const [, file = ''] of text.matchAll(/env_file: (\S+)$/gm)) {
      writeFileSync(join(dirname(path), file), fileText(`/project/${file}`) ?? '');
    }
    return path;
  });
  const out = execFileSync('/usr/bin/python3', [join(folder, 'composed.py'), ...paths], {
    encoding: 'utf8',
    env: { PATH: '/usr/bin:/bin', HOME: home, PYTHONWARNINGS: 'ignore' },
    stdio: ['ignore', 'pipe', 'ignore'],
    timeout: 100_000,
  });
  const found = JSON.parse(out) as Record<string, string | null>;
  return Object.fromEntries(
    wanted.map((name, index) => [
      name,
      found[paths[index]!]?.replaceAll(dirname(paths[index]!), '/project') ?? null,
    ]),
  );
}
