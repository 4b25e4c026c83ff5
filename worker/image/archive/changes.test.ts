import { strict as assert } from 'node:assert';
import { applyChanges, type RuntimeConfig } from './changes.ts';

describe('changes to an image', () => {
  const cases: readonly {
    given: string | string[];
    expect: RuntimeConfig;
    from?: RuntimeConfig;
  }[] = [
    { given: 'CMD ["/bin/a", "-x"]', expect: { Cmd: ['/bin/a', '-x'] } },
    { given: 'cmd echo "hi there"', expect: { Cmd: ['/bin/sh', '-c', 'echo "hi there"'] } },
    { given: 'CMD [not json]', expect: { Cmd: ['/bin/sh', '-c', '[not json]'] } },
    { given: 'CMD []', expect: { Cmd: [] } },
    { given: 'ENTRYPOINT ["/init"]', expect: { Entrypoint: ['/init'] } },
    { given: 'ENTRYPOINT /init --x', expect: { Entrypoint: ['/bin/sh', '-c', '/init --x'] } },
    { given: 'ENV A=1 B="two words" C=a\\ b', expect: { Env: ['A=1', 'B=two words', 'C=a b'] } },
    { given: 'ENV A one two', expect: { Env: ['A=one two'] } },
    { given: 'ENV A=2', from: { Env: ['A=1', 'B=1'] }, expect: { Env: ['A=2', 'B=1'] } },
    { given: 'ENV A=', expect: { Env: ['A='] } },
    { given: 'ENV A=\'x="y"\'', expect: { Env: ['A=x="y"'] } },
    {
      given: 'EXPOSE 80 53/udp 8000-8001',
      expect: { ExposedPorts: { '80/tcp': {}, '53/udp': {}, '8000/tcp': {}, '8001/tcp': {} } },
    },
    { given: 'LABEL a=b "c d"="e f"', expect: { Labels: { a: 'b', 'c d': 'e f' } } },
    { given: ['LABEL a=1', 'LABEL a=2 b=3'], expect: { Labels: { a: '2', b: '3' } } },
    { given: 'USER app:staff', expect: { User: 'app:staff' } },
    { given: 'WORKDIR /srv', expect: { WorkingDir: '/srv' } },
    { given: ['WORKDIR /srv', 'WORKDIR www'], expect: { WorkingDir: '/srv/www' } },
    { given: 'VOLUME ["/a", "/b"]', expect: { Volumes: { '/a': {}, '/b': {} } } },
    { given: 'VOLUME /a /b', expect: { Volumes: { '/a': {}, '/b': {} } } },
    { given: 'STOPSIGNAL SIGQUIT', expect: { StopSignal: 'SIGQUIT' } },
    { given: 'ONBUILD RUN make', expect: { OnBuild: ['RUN make'] } },
    { given: 'HEALTHCHECK NONE', expect: { Healthcheck: { Test: ['NONE'] } } },
    {
      given: 'HEALTHCHECK --interval=1m30s --timeout=500ms --retries=4 CMD wget -q localhost',
      expect: {
        Healthcheck: {
          Test: ['CMD-SHELL', 'wget -q localhost'],
          Interval: 90e9,
          Timeout: 500e6,
          Retries: 4,
        },
      },
    },
    {
      given: 'HEALTHCHECK --start-period=1.5s CMD ["/check"]',
      expect: { Healthcheck: { Test: ['CMD', '/check'], StartPeriod: 1.5e9 } },
    },
    { given: 'USER a\n# remark\n\nWORKDIR /b', expect: { User: 'a', WorkingDir: '/b' } },
  ];
  for (const { given, from = {}, expect } of cases) {
    it(JSON.stringify(given), () => {
      assert.deepEqual(applyChanges(from, Array.isArray(given) ? given : [given]), expect);
    });
  }

  const wrong: readonly [given: string, message: RegExp][] = [
    ['FROM scratch', /^FROM is not a valid change command; these are: CMD, /],
    ['RUN ls', /^RUN is not a valid change command/],
    ['CMD', /^CMD requires at least one argument/],
    ['ENV A', /^ENV must have two arguments/],
    ['ENV A=1 B', /"B" is no NAME=VALUE/],
    ['ENV =1', /"=1" is no NAME=VALUE/],
    ['EXPOSE 0', /^invalid containerPort: 0/],
    ['EXPOSE 70000', /^invalid containerPort: 70000/],
    ['EXPOSE 90-80', /^invalid containerPort: 90-80/],
    ['EXPOSE web', /^invalid containerPort: web/],
    ['USER a b', /^USER requires exactly one argument/],
    ['HEALTHCHECK RUN x', /unknown type "RUN" in HEALTHCHECK/],
    ['HEALTHCHECK --interval=fast CMD x', /"fast" is no duration for --interval/],
    ['HEALTHCHECK --nope=1 CMD x', /"--nope=1" is no flag/],
  ];
  for (const [given, message] of wrong) {
    it(`refuses ${given}`, () => {
      assert.throws(() => applyChanges({}, [given]), { code: 'invalid-argument', message });
    });
  }
});
