import { strict as assert } from 'node:assert';
import { parseArgv } from './argv.ts';
import { bool, bytes, durationMs, list, oneOf, text, unsigned } from './flags.ts';

const flags = {
  detach: bool('detach', 'd', { short: 'd' }),
  quiet: bool('quiet', 'q', { short: 'q' }),
  noTrunc: bool('no-trunc', 'n'),
  noHealth: bool('no-healthcheck', 'n'),
  env: list('env', 'e', { short: 'e' }),
  name: text('name', 'n'),
  replicas: unsigned('replicas', 'r'),
  delay: durationMs('delay', 'd'),
  memory: bytes('memory', 'm'),
  mode: oneOf('mode', 'm', ['replicated', 'global']),
};
const declared = Object.values(flags);

describe('command/argv', () => {
  const cases: { argv: string; expect: Record<string, unknown>; operands?: string[] }[] = [
    { argv: '-d', expect: { detach: true } },
    { argv: '--detach=false x', expect: { detach: false }, operands: ['x'] },
    { argv: '--detach x', expect: { detach: true }, operands: ['x'] },
    { argv: '-dq', expect: { detach: true, quiet: true } },
    { argv: '--no-trunc', expect: { noTrunc: true } },
    { argv: '--no-trunc=0 --no-healthcheck', expect: { noTrunc: false, noHealth: true } },
    { argv: '-e A=1 -eB=2 --env C --env=D=x=y', expect: { env: ['A=1', 'B=2', 'C', 'D=x=y'] } },
    { argv: '--name --odd', expect: { name: '--odd' } },
    { argv: '--name=', expect: { name: '' } },
    { argv: 'a --replicas 3 b', expect: { replicas: 3 }, operands: ['a', 'b'] },
    { argv: '--delay 1m30s --memory 64m', expect: { delay: 90_000, memory: 67_108_864 } },
    { argv: '--mode GLOBAL', expect: { mode: 'global' } },
    { argv: '-- -d x', expect: {}, operands: ['-d', 'x'] },
  ];
  for (const { argv, expect, operands = [] } of cases) {
    it(`reads ${argv}`, () => {
      const parsed = parseArgv(argv.split(' '), declared);
      assert.deepEqual(parsed.operands, operands);
      const got = Object.entries(flags)
        .map(([key, flag]) => [key, parsed.flags.get<unknown>(flag)])
        .filter(([, value]) => value !== undefined);
      assert.deepEqual(Object.fromEntries(got), expect);
    });
  }

  it('leaves everything after the first operand alone where told', () => {
    const parsed = parseArgv(['-d', 'image', 'sh', '-d', '--name', '-x'], declared, {
      passThrough: true,
    });
    assert.deepEqual(parsed.operands, ['image', 'sh', '-d', '--name', '-x']);
    assert.equal(parsed.flags.get(flags.name), undefined);
  });

  const failures: { argv: string; expect: string }[] = [
    { argv: '--nope', expect: 'unknown flag: --nope' },
    { argv: '--nope=1', expect: 'unknown flag: --nope' },
    { argv: '-z', expect: "unknown shorthand flag: 'z' in -z" },
    { argv: '--name', expect: 'flag needs an argument: --name' },
    { argv: '-e', expect: "flag needs an argument: 'e' in -e" },
    { argv: '--env', expect: 'flag needs an argument: --env' },
    {
      argv: '--replicas x',
      expect:
        'invalid argument "x" for "--replicas" flag: strconv.ParseUint: parsing "x": invalid syntax',
    },
    {
      argv: '--replicas 99999999999999999999',
      expect:
        'invalid argument "99999999999999999999" for "--replicas" flag: ' +
        'strconv.ParseUint: parsing "99999999999999999999": value out of range',
    },
    {
      argv: '--delay 5',
      expect: 'invalid argument "5" for "--delay" flag: time: missing unit in duration "5"',
    },
    {
      argv: '--delay -5s',
      expect: 'invalid argument "-5s" for "--delay" flag: duration must not be negative',
    },
    {
      argv: '--mode x',
      expect: 'invalid argument "x" for "--mode" flag: must be one of replicated, global',
    },
  ];
  for (const { argv, expect } of failures) {
    it(`refuses ${argv}`, () => {
      assert.throws(() => parseArgv(argv.split(' '), declared), {
        message: expect,
        details: { exitCode: 125 },
      });
    });
  }
});
