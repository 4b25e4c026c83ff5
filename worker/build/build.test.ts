import { strict as assert } from 'node:assert';
import { isErrorCode } from '../runtime/testing/errors.ts';
import { prunable } from './cache.ts';
import { markStages, planDockerfile, syntaxOf } from './dockerfile.ts';
import { failureOf, isLogLine, translated, translator } from './output.ts';
import { parseRemote } from './remote.ts';
import { budArguments, budEnvironment, hostsWithoutNetwork, type BuildRequest } from './request.ts';

const plan = (text: string, buildArgs: Record<string, string> = {}, target = '') =>
  planDockerfile(text, { fileName: 'Dockerfile', buildArgs, target }).images;

describe('a build argument that was given', () => {
  for (const [name, text, bakesArgs] of [
    ['in ENV', 'FROM a\nARG V\nENV VERSION=$V', true],
    ['in a label, by its braces', 'FROM a\nARG V\nLABEL v="x${V:-1}"', true],
    ['by way of another', 'FROM a\nARG V\nARG W=${V}-slim\nWORKDIR /$W', true],
    ['only in RUN, which the cache tells apart', 'FROM a\nARG V\nRUN echo $V', false],
    ['only in FROM', 'ARG V\nFROM a:$V\nENV X=1', false],
    ['nowhere', 'FROM a\nARG OTHER=1\nENV X=$OTHER', false],
  ] as const) {
    it(`${bakesArgs ? 'sets steps apart' : 'leaves the steps as they are'} ${name}`, () => {
      const options = { fileName: 'Dockerfile', buildArgs: { V: '2' }, target: '' };
      assert.equal(planDockerfile(text, options).bakesArgs, bakesArgs);
    });
  }
});

describe('here-documents', () => {
  it('are refused by the number of their line', () => {
    const text = 'FROM a\nRUN cat <<-"END" > /x\nFROM nowhere\n\tEND\nRUN true\n';
    const says = /line 2: here-documents \(<<END\) are not supported/;
    assert.throws(() => plan(text), isErrorCode('invalid-argument', says));
  });

  it('are no shifts, and no here-strings', () => {
    assert.deepEqual(plan('FROM a\nRUN echo $((1<<2))\nRUN cat <<<x\nFROM b\n'), ['a', 'b']);
  });
});

describe('the syntax line of a Dockerfile', () => {
  for (const [text, expect] of [
    ['# syntax=docker/dockerfile:1\nFROM a', 'docker/dockerfile:1'],
    ['# escape=`\n#Syntax = a/b \nFROM a', 'a/b'],
    ['# a word\n# syntax=a/b\nFROM a', undefined],
    ['FROM a\n# syntax=a/b', undefined],
  ] as const) {
    it(`names ${expect ?? 'nothing'} in ${JSON.stringify(text)}`, () => {
      assert.equal(syntaxOf(text), expect);
    });
  }
});

describe('a marked Dockerfile', () => {
  it('begins each stage with an argument of its own', () => {
    const text = '# a\nARG V\nFROM a \\\n  AS one\r\nENV A=$V\n\nfrom scratch\nCOPY --from=one / /';
    assert.equal(
      markStages(text, 'x1'),
      '# a\nARG V\nFROM a \\\n  AS one\r\nARG TS_SWARM_BUILD_ARGS=x1\nENV A=$V\n\n' +
        'from scratch\nARG TS_SWARM_BUILD_ARGS=x1\nCOPY --from=one / /',
    );
  });

  it('is shown as its author wrote it', () => {
    const translate = translator({ marked: true });
    const id = '0123456789abcdef';
    const shown = [
      '[1/2] STEP 1/3: FROM a',
      '[1/2] STEP 2/3: ARG TS_SWARM_BUILD_ARGS=x1',
      `[1/2] --> Using cache ${id}`,
      `[1/2] --> ${id}`,
      '[1/2] STEP 3/3: ENV A=$V',
      `[1/2] --> ${id}`,
      '[2/2] STEP 1/2: FROM scratch',
      '[2/2] STEP 2/2: ARG TS_SWARM_BUILD_ARGS=x1',
    ].flatMap((line) => translate(line) ?? []);
    assert.deepEqual(shown, [
      '[1/2] Step 1/2 : FROM a\n',
      '[1/2] Step 2/2 : ENV A=$V\n',
      ' ---> 0123456789ab\n',
      '[2/2] Step 1/1 : FROM scratch\n',
    ]);
  });
});

describe('what a Dockerfile builds on', () => {
  const cases: readonly { name: string; text: string; expect: readonly string[] }[] = [
    { name: 'one image', text: 'FROM web:1\n', expect: ['web:1'] },
    { name: 'scratch', text: 'FROM scratch\nCOPY a /\n', expect: [] },
    { name: 'a stage', text: 'FROM a AS One\nFROM one\nCOPY --from=0 x y\n', expect: ['a'] },
    {
      name: 'a copied image',
      text: 'FROM a\nCOPY --chown=1 --from=b:2 x y\n',
      expect: ['a', 'b:2'],
    },
    {
      name: 'a mounted image',
      text: 'FROM a\nRUN --mount=type=bind,from=c,target=/c ls\n',
      expect: ['a', 'c'],
    },
    { name: 'not what a command says', text: 'FROM a\nRUN x --from=b\n', expect: ['a'] },
    { name: 'a platform', text: 'FROM --platform=linux/amd64 a AS b\n', expect: ['a'] },
    { name: 'the default of an argument', text: 'ARG V=1\nFROM web:$V\n', expect: ['web:1'] },
    {
      name: 'an argument of any name',
      text: 'ARG constructor=1\nFROM web:$constructor\n',
      expect: ['web:1'],
    },
    { name: 'braces', text: 'ARG V\nFROM web:${V:-3}${V:+4}\n', expect: ['web:3'] },
    {
      name: 'continued lines and comments',
      text: '# x\nFROM \\\n# y\n  a\n\nRUN ls\n',
      expect: ['a'],
    },
    { name: 'another escape', text: '# escape=`\nFROM a`\n:1\n', expect: ['a:1'] },
    { name: 'Windows line ends', text: 'FROM a\r\nRUN ls\r\n', expect: ['a'] },
  ];
  for (const { name, text, expect } of cases) {
    it(name, () => assert.deepEqual(plan(text), expect));
  }

  it('arguments that are given win', () => {
    assert.deepEqual(plan('ARG V=1\nFROM web:$V\n', { V: '9' }), ['web:9']);
  });

  const refused: readonly { text: string; target?: string; says: RegExp }[] = [
    { text: '', says: /the Dockerfile \(Dockerfile\) cannot be empty/ },
    { text: '# only\n', says: /cannot be empty/ },
    { text: 'FROM a\nNOPE b\n', says: /parse error line 2: unknown instruction: NOPE/ },
    { text: 'RUN ls\n', says: /no build stage in current context/ },
    { text: 'ARG A\n', says: /no build stage in current context/ },
    { text: 'FROM a b\n', says: /line 1: FROM requires either one or three arguments/ },
    { text: 'FROM a\n', target: 'b', says: /failed to reach build target b in Dockerfile/ },
  ];
  for (const { text, target, says } of refused) {
    it(`refuses ${JSON.stringify(text)}`, () =>
      assert.throws(() => plan(text, {}, target), isErrorCode('invalid-argument', says)));
  }

  it('takes a target by its name or number', () => {
    assert.deepEqual(plan('FROM a AS Top\n', {}, 'top'), ['a']);
    assert.deepEqual(plan('FROM a\nFROM b\n', {}, '1'), ['a', 'b']);
  });
});

describe('the output of a build', () => {
  const hex = 'ab'.repeat(32);
  const cases: readonly (readonly [string, string | undefined])[] = [
    ['STEP 1/6: FROM basis:1', 'Step 1/6 : FROM basis:1\n'],
    ['[1/2] STEP 1/2: FROM a AS b', '[1/2] Step 1/2 : FROM a AS b\n'],
    ['--> 8daef4ea28d', ' ---> 8daef4ea28d\n'],
    [`--> Using cache ${hex}`, ' ---> Using cache\n ---> abababababab\n'],
    ['COMMIT web:1', undefined],
    [hex, undefined],
    ['hello', 'hello\n'],
  ];
  for (const [line, expect] of cases) {
    it(`${line} is shown in Docker’s words`, () => assert.equal(translated(line), expect));
  }

  it('knows buildah’s own log', () => {
    assert.equal(isLogLine('time="2026-01-01T00:00:00Z" level=warning msg="x"'), true);
    assert.equal(isLogLine('the time="x" level=y'), false);
  });

  for (const { line, expect } of [
    {
      line: 'Error: building at STEP "RUN exit "3"": while running runtime: exit status 3',
      expect: {
        message: `The command '/bin/sh -c exit "3"' returned a non-zero code: 3`,
        exitCode: 3,
        command: '/bin/sh -c exit "3"',
      },
    },
    {
      line: 'Error: building at STEP "RUN ["a","b"]": while running runtime: exit status 1',
      expect: {
        message: `The command 'a b' returned a non-zero code: 1`,
        exitCode: 1,
        command: 'a b',
      },
    },
    {
      line: 'Error: building at STEP "COPY nope /": checking on sources under "/x": copier: stat: "/nope": no such file or directory',
      expect: {
        message:
          'COPY failed: file not found in build context or excluded by .dockerignore: ' +
          'stat nope: file does not exist',
        missingPath: 'nope',
      },
    },
    { line: 'Error: out of space', expect: { message: 'out of space' } },
  ]) {
    it(`tells ${line}`, () => assert.deepEqual(failureOf(line), expect));
  }
});

describe('buildah’s arguments', () => {
  const request: BuildRequest = {
    tags: [],
    remote: '',
    dockerfile: 'Dockerfile',
    buildArgs: {},
    labels: {},
    target: '',
    noCache: false,
    pull: false,
    squash: false,
    networkMode: 'default',
    extraHosts: [],
    ulimits: [],
    memoryBytes: 0,
    memorySwapBytes: 0,
    cpuShares: 0,
    cpuPeriodUs: 0,
    cpuQuotaUs: 0,
    shmBytes: 0,
    cpusetCpus: '',
    cpusetMems: '',
    cgroupParent: '',
  };
  const paths = {
    context: '/c',
    dockerfile: '/c/Dockerfile',
    idFile: '/id',
    hosts: '/hosts',
    extraArguments: [],
  };

  it('name nothing that was not asked for', () => {
    assert.deepEqual(budArguments(request, { place: 'host' }, paths), [
      'build',
      '--format=docker',
      '--pull-never',
      '--layers=true',
      '--network=host',
      '--iidfile=/id',
      '--file=/c/Dockerfile',
      '/c',
    ]);
  });

  it('name what was', () => {
    const given: BuildRequest = {
      ...request,
      buildArgs: { TOKEN: 'b c', https_proxy: 'p:1', 'a.b': 'c' },
      labels: { l: '--x' },
      target: 't',
      noCache: true,
      squash: true,
      ulimits: [{ name: 'nofile', soft: 1, hard: 2 }],
      memoryBytes: 5,
      cpusetCpus: '0-1',
    };
    const args = budArguments(given, { place: 'none' }, paths);
    for (const wanted of [
      '--layers=false',
      '--squash',
      '--no-cache',
      '--network=none',
      '--target=t',
      '--build-arg=TOKEN',
      '--build-arg=https_proxy=p:1',
      '--build-arg=a.b=c',
      '--label=l=--x',
      '--ulimit=nofile=1:2',
      '--memory=5',
      '--cpuset-cpus=0-1',
    ]) {
      assert.ok(args.includes(wanted), wanted);
    }
    assert.deepEqual(budEnvironment(given), { TOKEN: 'b c' });
  });

  it('name the network of the steps, and whom to ask for names there', () => {
    const network = {
      place: { netnsPath: '/run/netns/1' },
      resolvConf: 'nameserver 127.0.0.11\nsearch a.example b.example\noptions ndots:0\n',
      gateway: '172.18.0.1',
    };
    const extraHosts = ['a:10.0.0.1', 'host:host-gateway', 'six:[fd00::1]'];
    const args = budArguments({ ...request, extraHosts }, network, paths);
    assert.deepEqual(
      args.filter((arg) => /^--(network|dns|add-host)/.test(arg)),
      [
        '--network=ns:/run/netns/1',
        '--dns=127.0.0.11',
        '--dns-search=a.example',
        '--dns-search=b.example',
        '--dns-option=ndots:0',
        '--add-host=a:10.0.0.1',
        '--add-host=host:172.18.0.1',
        '--add-host=six:fd00::1',
      ],
    );
  });

  it('name the hosts of steps that have no network', () => {
    const args = budArguments(request, { place: 'none' }, paths);
    assert.ok(args.includes('--volume=/hosts:/etc/hosts'));
    assert.equal(
      hostsWithoutNetwork(['a:10.0.0.1', 'six:[fd00::1]']),
      '127.0.0.1\tlocalhost\n::1\tlocalhost\n10.0.0.1\ta\nfd00::1\tsix\n',
    );
  });

  it('refuses a host without an address', () => {
    assert.throws(
      () => budArguments({ ...request, extraHosts: ['x'] }, { place: 'host' }, paths),
      isErrorCode('invalid-argument', /bad format for add-host: "x"/),
    );
  });
});

describe('what a prune of the cache may take', () => {
  const entries = [
    { id: 'ccc', isNamed: false, createdAtMs: 30 },
    { id: 'abc', isNamed: true, createdAtMs: 10 },
    { id: 'bbb', isNamed: false, createdAtMs: 20 },
  ];
  for (const [name, request, expect] of [
    ['no image that was built on', {}, ['bbb', 'ccc']],
    ['all, the oldest first', { all: true }, ['abc', 'bbb', 'ccc']],
    ['what is older', { all: true, untilMs: 20 }, ['abc']],
    ['what is named by the beginning of its id', { ids: ['cc', 'x'] }, ['ccc']],
  ] as const) {
    it(name, () => {
      const found = prunable(entries, { all: false, untilMs: Infinity, ids: [], ...request });
      assert.deepEqual(
        found.map(({ id }) => id),
        expect,
      );
    });
  }
});

describe('the address of a context', () => {
  for (const [text, expect] of [
    ['http://a.example/x.tar.gz', { kind: 'http', url: 'http://a.example/x.tar.gz' }],
    ['https://a.example/b.git', { kind: 'git', url: 'https://a.example/b.git' }],
    ['http://a/b.git#v1:sub', { kind: 'git', url: 'http://a/b.git', ref: 'v1', folder: 'sub' }],
    ['git://a/b#:sub', { kind: 'git', url: 'git://a/b', folder: 'sub' }],
    ['github.com/a/b#main', { kind: 'git', url: 'https://github.com/a/b', ref: 'main' }],
    ['git@a.example:b/c', { kind: 'git', url: 'git@a.example:b/c' }],
  ] as const) {
    it(text, () => {
      const whole = expect.kind === 'git' ? { ref: 'HEAD', folder: '', ...expect } : expect;
      assert.deepEqual(parseRemote(text), whole);
    });
  }
  for (const [text, says] of [
    ['ftp://a/b', /remoteURL \(ftp:\/\/a\/b\) could not be recognized as URL/],
    ['/etc', /could not be recognized as URL/],
    ['git://a/b#--upload-pack=x', /a Git reference cannot be "--upload-pack=x"/],
  ] as const) {
    it(`is not ${text}`, () =>
      assert.throws(() => parseRemote(text), isErrorCode('invalid-argument', says)));
  }
});
