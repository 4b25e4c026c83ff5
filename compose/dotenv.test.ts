import { strict as assert } from 'node:assert';
import { parseDotenv } from './dotenv.ts';
import { problemText, Problems } from './problems.ts';

const env: Readonly<Record<string, string>> = { HOME: '/root', TAKEN: 'outer' };

function parse(text: string, format: 'compose' | 'raw' = 'compose') {
  const problems = new Problems();
  const options = { lookup: (name: string) => env[name], format };
  const values = parseDotenv(text, '.env', options, problems);
  return { values: Object.fromEntries(values), errors: problems.errors.map(problemText) };
}

describe('compose/dotenv', () => {
  const cases: { name: string; given: string; expect: Record<string, string> }[] = [
    { name: 'plain values', given: 'A=1\nB = two words \n', expect: { A: '1', B: 'two words' } },
    {
      name: 'comments',
      given: '# no\n\nA=x # c\nB=x#y\n  # no\nC=# c',
      expect: { A: 'x', B: 'x#y', C: '' },
    },
    { name: 'export and colons', given: 'export A=1\nB: 2', expect: { A: '1', B: '2' } },
    { name: 'single quotes', given: 'A=\'$X # "y" \\n\'', expect: { A: '$X # "y" \\n' } },
    {
      name: 'double quotes',
      given: 'A="a\\tb \\"c\\" \\$D # e"',
      expect: { A: 'a\tb "c" $D # e' },
    },
    { name: 'several lines', given: 'A="one\ntwo"\nB=3', expect: { A: 'one\ntwo', B: '3' } },
    {
      name: 'references',
      given: 'A=1\nB=${A}2\nC="$B ${N:-d}"',
      expect: { A: '1', B: '12', C: '12 d' },
    },
    {
      name: 'the environment first',
      given: 'TAKEN=own\nB=$TAKEN',
      expect: { TAKEN: 'own', B: 'outer' },
    },
    { name: 'inherited names', given: 'HOME\nNONE', expect: { HOME: '/root' } },
    { name: 'other line ends', given: '\uFEFFA=1\r\nB=2\r\n', expect: { A: '1', B: '2' } },
    { name: 'dots and dashes', given: 'a.b-c=1', expect: { 'a.b-c': '1' } },
  ];
  for (const { name, given, expect } of cases) {
    it(`reads ${name}`, () => assert.deepEqual(parse(given), { values: expect, errors: [] }));
  }

  it('leaves raw values as they stand', () => {
    assert.deepEqual(parse('A="x $Y" # z', 'raw').values, { A: '"x $Y" # z' });
  });

  const wrong: { given: string; expect: string }[] = [
    {
      given: 'A=1\nno such line',
      expect: '.env:2:1: "no such line" is not of the form NAME=value',
    },
    { given: 'A="open', expect: '.env:1:1: a quoted value has no closing "' },
    {
      given: '\nA=${B:?set it}',
      expect: '.env:2:1: required variable B is missing a value: set it',
    },
  ];
  for (const { given, expect } of wrong) {
    it(`says where it cannot read ${JSON.stringify(given)}`, () => {
      assert.deepEqual(parse(given).errors, [expect]);
    });
  }
});
