/** Files become one document: includes, extensions, merges, profiles. */
import { strict as assert } from 'node:assert';
import { composeTexts, errorsOf, type Given } from './testing.ts';

interface Doc {
  readonly services: Readonly<Record<string, Record<string, unknown>>>;
  readonly [section: string]: unknown;
}
const two = { load: { files: ['/p/compose.yaml', '/p/more.yaml'] } };

function documentOf(given: Given): Doc {
  return composeTexts(given).document as Doc;
}

function merged(first: string, second: string): Record<string, unknown> {
  const service = (lines: string) => `services:\n  web:\n    image: a\n${lines}`;
  const files = { '/p/compose.yaml': service(first), '/p/more.yaml': service(second) };
  return documentOf({ files, ...two }).services['web']!;
}

describe('compose/load', () => {
  const merges: { name: string; first: string; second: string; key: string; expect: unknown }[] = [
    {
      name: 'a later text wins',
      first: '    user: a',
      second: '    user: b',
      key: 'user',
      expect: 'b',
    },
    {
      name: 'environments are merged by name, in either form',
      first: '    environment: [A=1, B=2]',
      second: '    environment: {B: 3, C: 4}',
      key: 'environment',
      expect: { A: '1', B: 3, C: 4 },
    },
    {
      name: 'a command replaces the other',
      first: '    command: [a, b]',
      second: '    command: [c]',
      key: 'command',
      expect: ['c'],
    },
    {
      name: 'lists are joined, and nothing is in them twice',
      first: '    cap_add: [A, B]',
      second: '    cap_add: [B, C]',
      key: 'cap_add',
      expect: ['A', 'B', 'C'],
    },
    {
      name: 'volumes are merged by their target',
      first: '    tmpfs: /run\n    volumes: ["/a:/x", "/b:/y"]',
      second: '    volumes: ["/c:/y:ro"]',
      key: 'volumes',
      expect: [
        { type: 'bind', source: '/a', target: '/x', bind: { create_host_path: true } },
        {
          type: 'bind',
          source: '/c',
          target: '/y',
          read_only: true,
          bind: { create_host_path: true },
        },
      ],
    },
    {
      name: '!override replaces',
      first: '    cap_add: [A]',
      second: '    cap_add: !override [B]',
      key: 'cap_add',
      expect: ['B'],
    },
    {
      name: '!reset takes away',
      first: '    environment: {A: 1, B: 2}',
      second: '    environment: {A: !reset null}',
      key: 'environment',
      expect: { B: 2 },
    },
    {
      name: 'options of one log driver are merged',
      first: '    logging: {driver: json-file, options: {max-size: 1m}}',
      second: '    logging: {options: {max-file: "2"}}',
      key: 'logging',
      expect: { driver: 'json-file', options: { 'max-size': '1m', 'max-file': '2' } },
    },
    {
      name: 'another log driver has none of them',
      first: '    logging: {driver: json-file, options: {max-size: 1m}}',
      second: '    logging: {driver: none}',
      key: 'logging',
      expect: { driver: 'none' },
    },
    {
      name: 'ports are merged by what they publish',
      first: '    ports: ["80:80"]',
      second: '    ports: ["80:80", "81:80"]',
      key: 'ports',
      expect: ['80', '81'].map((published) => ({
        mode: 'ingress',
        target: 80,
        published,
        protocol: 'tcp',
      })),
    },
  ];
  for (const { name, first, second, key, expect } of merges) {
    it(`merges: ${name}`, () => assert.deepEqual(merged(first, second)[key], expect));
  }

  it('reads several documents of a file as several files', () => {
    const text = 'services: {a: {image: x}}\n---\nservices: {a: {user: u}}\n';
    const { services } = documentOf({ files: { '/p/compose.yaml': text } });
    assert.deepEqual(services, { a: { image: 'x', user: 'u' } });
  });

  it('follows anchors and merge keys, of which the own keys win', () => {
    const text = `
x-base: &base {image: x, user: u, labels: {a: "1"}}
x-more: &more {user: v, hostname: h}
services:
  a: {<<: *base, user: w}
  b: {<<: [*more, *base]}
`;
    const { services } = documentOf({ files: { '/p/compose.yaml': text } });
    assert.deepEqual(services, {
      a: { image: 'x', user: 'w', labels: { a: '1' } },
      b: { image: 'x', user: 'v', labels: { a: '1' }, hostname: 'h' },
    });
  });

  it('takes variables from the environment, then from .env', () => {
    const files = {
      '/p/compose.yaml': 'services: {a: {image: "$I:$T", labels: {n: $COMPOSE_PROJECT_NAME}}}',
      '/p/.env': 'I=web\nT=1\n',
    };
    const { services } = documentOf({ files, env: { T: '2' } });
    assert.deepEqual(services['a'], { image: 'web:2', labels: { n: 'shop' } });
    const other = { files: { ...files, '/e': 'I=x\nT=3' }, load: { envFiles: ['/e'] } };
    assert.equal(documentOf(other).services['a']?.['image'], 'x:3');
  });

  it('takes no variable for set that nobody has set, whatever its name', () => {
    const text = 'services: {a: {image: "x:${constructor:-1}", user: "${toString-u}"}}';
    const { services } = documentOf({ files: { '/p/compose.yaml': text } });
    assert.deepEqual(services['a'], { image: 'x:1', user: 'u' });
  });

  it('extends services of the same file and of others, with their own folders', () => {
    const files = {
      '/p/compose.yaml': `
services:
  base: {image: x, environment: {A: 1}}
  a: {extends: base, environment: {B: 2}}
  b: {extends: {file: sub/more.yaml, service: c}, user: u}
`,
      '/p/sub/more.yaml': `
services:
  c: {extends: d, volumes: ["./data:/data"]}
  d: {image: y, env_file: e.env}
`,
      '/p/sub/e.env': 'X=1',
    };
    const { services } = documentOf({ files });
    assert.deepEqual(services['a'], { image: 'x', environment: { A: 1, B: 2 } });
    assert.deepEqual(services['b'], {
      image: 'y',
      user: 'u',
      env_file: [{ path: '/p/sub/e.env', required: true }],
      volumes: [
        {
          type: 'bind',
          source: '/p/sub/data',
          target: '/data',
          bind: { create_host_path: true },
        },
      ],
    });
  });

  it('includes files with folders and variables of their own', () => {
    const files = {
      '/p/compose.yaml': 'include: [db/compose.yaml]\nservices: {web: {image: w}}',
      '/p/db/compose.yaml':
        'services: {db: {image: "pg:$V", volumes: ["./d:/d", "v:/v"]}}\nvolumes: {v: }',
      '/p/db/.env': 'V=16',
    };
    const { services, volumes } = documentOf({ files });
    assert.deepEqual(Object.keys(services).toSorted(), ['db', 'web']);
    assert.equal(services['db']?.['image'], 'pg:16');
    assert.match(JSON.stringify(services['db']?.['volumes']), /"source":"\/p\/db\/d"/);
    assert.deepEqual(volumes, { v: null });
  });

  it('leaves out services of other profiles', () => {
    const text = `
services:
  web: {image: w, depends_on: {debug: {condition: service_started, required: false}}}
  debug: {image: d, profiles: [dev]}
`;
    const files = { '/p/compose.yaml': text };
    const names = (profiles: string[]) =>
      Object.keys(documentOf({ files, load: { profiles } }).services);
    assert.deepEqual(names([]), ['web']);
    assert.deepEqual(names(['dev']), ['web', 'debug']);
    assert.deepEqual(names(['*']), ['web', 'debug']);
  });

  const wrong: { name: string; files: Record<string, string>; expect: string[] }[] = [
    {
      name: 'what is not YAML',
      files: { '/p/compose.yaml': 'services:\n  a: {image: x\n' },
      expect: [
        'compose.yaml:3:1: this is not YAML: Flow map in block collection must be sufficiently ' +
          'indented and end with a }',
      ],
    },
    {
      name: 'a key that is there twice',
      files: { '/p/compose.yaml': 'services:\n  a: {image: x}\n  a: {image: y}\n' },
      expect: ['compose.yaml:3:3: this is not YAML: Map keys must be unique'],
    },
    {
      name: 'an anchor that is not there',
      files: { '/p/compose.yaml': 'services:\n  a: *b\n' },
      expect: ['compose.yaml:2:6: there is no anchor &b before this'],
    },
    {
      name: 'a required variable',
      files: { '/p/compose.yaml': 'services:\n  a: {image: "${TAG:?which one}"}\n' },
      expect: ['compose.yaml:2:14: required variable TAG is missing a value: which one'],
    },
    {
      name: 'a circle of extensions',
      files: { '/p/compose.yaml': 'services:\n  a: {extends: b}\n  b: {extends: a}\n' },
      expect: [
        'compose.yaml:2:16: services.a extends itself by way of b',
        'compose.yaml:3:16: services.b extends itself by way of a',
      ],
    },
    {
      name: 'extensions of nothing',
      files: { '/p/compose.yaml': 'services:\n  a: {image: x, extends: b}\n' },
      expect: ['compose.yaml:2:26: services.a extends b, which is not in compose.yaml'],
    },
    {
      name: 'a circle of includes',
      files: {
        '/p/compose.yaml': 'include: [b.yaml]\nservices: {a: {image: x}}',
        '/p/b.yaml': 'include: [compose.yaml]',
      },
      expect: ['b.yaml:1:11: include: compose.yaml includes itself'],
    },
    {
      name: 'what is included and said again',
      files: {
        '/p/compose.yaml': 'include: [b.yaml]\nservices: {a: {image: x}}',
        '/p/b.yaml': 'services: {a: {image: y}}',
      },
      expect: [
        'compose.yaml:2:12: services.a is included from b.yaml:1:12 already: rename one, or ' +
          'change it in a further file of that include',
      ],
    },
    {
      name: 'a dependency on another profile',
      files: {
        '/p/compose.yaml':
          'services:\n  a: {image: x, depends_on: [b]}\n  b: {image: x, profiles: [p]}\n',
      },
      expect: [
        'compose.yaml:2:30: services.a depends on b, whose profile is not active: give ' +
          '--profile, or say "required: false"',
      ],
    },
    { name: 'no file', files: {}, expect: ['compose file compose.yaml: no such file'] },
  ];
  for (const { name, files, expect } of wrong) {
    it(`says where it meets ${name}`, () => assert.deepEqual(errorsOf({ files }), expect));
  }

  it('does not let a small file become a large one', () => {
    const lines = ['x-a: &a0 [x, x, x, x, x, x, x, x, x]'];
    for (let i = 1; i < 9; i++) {
      lines.push(`x-${i}: &a${i} [${Array.from({ length: 9 }, () => `*a${i - 1}`).join(', ')}]`);
    }
    const files = { '/p/compose.yaml': `${lines.join('\n')}\nservices: {a: {image: x}}\n` };
    assert.match(errorsOf({ files })[0] ?? '', /more than 50000 values/);
  });
});
