import { strict as assert } from 'node:assert';
import { checkWords } from './words.ts';

const most = 131_071;
const big = 'x'.repeat(most);

describe('the words of a program', () => {
  const cases: { name: string; argv?: string[]; env?: string[]; expect?: RegExp }[] = [
    { name: 'may be as long as the kernel takes them', argv: ['sh', big] },
    { name: 'are counted with their name', env: [`A=${big.slice(2)}`] },
    {
      name: 'are named where a variable is too long',
      env: ['B=', `A=${big}`],
      expect:
        /^the environment variable A is 131073 bytes long, and the kernel takes at most 131071/,
    },
    {
      name: 'are numbered where an argument is too long',
      argv: ['sh', '-c', `${big}x`],
      expect: /^argument 2 of the command is 131072 bytes long/,
    },
    {
      name: 'are counted in bytes',
      argv: ['é'.repeat(most / 2 + 1)],
      expect: /^argument 0 of the command is 131072 bytes long/,
    },
  ];
  for (const { name, argv = [], env = [], expect } of cases) {
    it(name, () => {
      const checking = () => checkWords(argv, env, 'x64');
      if (expect === undefined) checking();
      else assert.throws(checking, { code: 'invalid-argument', message: expect });
    });
  }

  it('are the kernel’s own to judge where its pages may be larger', () => {
    checkWords([`${big}x`], [], 'arm64');
  });
});
