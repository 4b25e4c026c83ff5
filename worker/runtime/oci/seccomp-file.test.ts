import { strict as assert } from 'node:assert';
import { isErrorCode } from '../testing/errors.ts';
import { parseSeccompFile, seccompOf } from './seccomp-file.ts';

describe('seccomp profiles of users', () => {
  const machine = {
    capabilities: ['CAP_SYS_ADMIN'],
    architecture: 'x64',
    kernel: '5.10.0-8-amd64',
  };
  const allow = 'SCMP_ACT_ALLOW';
  const made = (document: object, on: Partial<typeof machine> = {}) =>
    seccompOf(parseSeccompFile(JSON.stringify({ defaultAction: 'SCMP_ACT_ERRNO', ...document })), {
      ...machine,
      ...on,
    });

  it('are read in Docker’s form, old and new', () => {
    const args = [{ index: 1, value: 2, op: 'SCMP_CMP_EQ' }];
    const profile = made({
      defaultErrnoRet: 38,
      archMap: [
        { architecture: 'SCMP_ARCH_AARCH64', subArchitectures: ['SCMP_ARCH_ARM'] },
        { architecture: 'SCMP_ARCH_X86_64', subArchitectures: ['SCMP_ARCH_X86'] },
      ],
      syscalls: [
        { name: 'read', action: allow, args: null },
        { names: ['write', 'open'], action: allow, args, comment: 'x', includes: {}, excludes: {} },
        { names: ['mkdir'], action: 'SCMP_ACT_ERRNO', errnoRet: 5, args: [] },
      ],
    });
    assert.deepEqual(profile, {
      defaultAction: 'SCMP_ACT_ERRNO',
      defaultErrnoRet: 38,
      architectures: ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86'],
      syscalls: [
        { names: ['read'], action: allow },
        { names: ['write', 'open'], action: allow, args },
        { names: ['mkdir'], action: 'SCMP_ACT_ERRNO', errnoRet: 5 },
      ],
    });
    assert.deepEqual(made({ architectures: ['SCMP_ARCH_X86'] }).architectures, ['SCMP_ARCH_X86']);
  });

  const conditions: [object, boolean][] = [
    [{ includes: { arches: ['amd64', 'x32'] } }, true],
    [{ includes: { arches: ['arm64'] } }, false],
    [{ includes: { caps: ['CAP_SYS_ADMIN'] } }, true],
    [{ includes: { caps: ['CAP_SYS_ADMIN', 'CAP_BPF'] } }, false],
    [{ includes: { minKernel: '5.10' } }, true],
    [{ includes: { minKernel: '4.8', arches: ['amd64'] } }, true],
    [{ includes: { minKernel: '5.11' } }, false],
    [{ excludes: { caps: ['CAP_BPF', 'CAP_SYS_ADMIN'] } }, false],
    [{ excludes: { caps: ['CAP_BPF'], arches: ['s390x'] } }, true],
    [{ excludes: { minKernel: '4.8' } }, false],
  ];
  for (const [condition, holds] of conditions) {
    it(`a rule with ${JSON.stringify(condition)} ${holds ? 'holds' : 'is left out'}`, () => {
      const { syscalls } = made({ syscalls: [{ names: ['bpf'], action: allow, ...condition }] });
      assert.equal(syscalls.length, holds ? 1 : 0);
    });
  }

  const bad: [string, string, RegExp][] = [
    ['no JSON', 'bad', /cannot be used: Unexpected token/],
    ['a list', '[]', /it is no JSON object/],
    ['no action', '{}', /its defaultAction is undefined/],
    [
      'an action that is none',
      '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["a"],"action":"DENY"}]}',
      /syscalls\[0\]: its action is "DENY"/,
    ],
    [
      'a number that JSON cannot carry',
      '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["a"],"action":"SCMP_ACT_LOG",' +
        '"args":[{"index":0,"value":18446744073709551615,"op":"SCMP_CMP_EQ"}]}]}',
      /syscalls\[0\]: an argument has no number, or one too large/,
    ],
    ['an agent', '{"defaultAction":"SCMP_ACT_ALLOW","listenerPath":"/x"}', /listenerPath is not/],
  ];
  for (const [name, text, says] of bad) {
    it(`with ${name} are refused`, () => {
      assert.throws(() => parseSeccompFile(text), isErrorCode('invalid-argument', says));
    });
  }
});
