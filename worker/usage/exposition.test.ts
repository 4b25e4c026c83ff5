import { strict as assert } from 'node:assert';
import { CounterSum } from './exposition.ts';

const name = 'http_requests_total';
const sum = (...pieces: string[]) => {
  const made = new CounterSum(name);
  for (const piece of pieces) made.push(piece);
  return made.end();
};

describe('a counter in a page', () => {
  const good: { name: string; page: string; expect: number }[] = [
    {
      name: 'is summed over its labels',
      page:
        `# HELP ${name} How many.\n# TYPE ${name} counter\n` +
        `${name}{code="200"} 7\n${name}{code="500",method="get"} 3.5 1395066363000\n`,
      expect: 10.5,
    },
    { name: 'may have no labels', page: `${name} 1.5e+03\n`, expect: 1500 },
    { name: 'may have blanks around them', page: `${name} {code="200"}\t12\r\n`, expect: 12 },
    {
      name: 'is no other whose name begins alike',
      page: `${name}_sum 5\n${name} 2\n${name}s{a="b"} 9\nmy_${name} 3\n`,
      expect: 2,
    },
    {
      name: 'may have brackets, quotes and backslashes in its labels',
      page: String.raw`${name}{path="/{id}",a="\"}\\"} 4` + '\n',
      expect: 4,
    },
    { name: 'stands at nothing before the first', page: `# TYPE ${name} counter\n`, expect: 0 },
    {
      name: 'is declared without its end in OpenMetrics',
      page: '# TYPE http_requests counter\n# EOF\n',
      expect: 0,
    },
    {
      name: 'may have an exemplar behind it',
      page: `${name}{code="200"} 8 # {trace="x"} 0.5\n# EOF\n`,
      expect: 8,
    },
    { name: 'counts in a last line without an end', page: `${name} 3`, expect: 3 },
  ];
  for (const { name: what, page, expect } of good) {
    it(what, () => {
      assert.equal(sum(page), expect);
      assert.equal(sum(...page.split('')), expect, 'a letter at a time');
    });
  }

  const bad: { name: string; page: string; expect: RegExp }[] = [
    { name: 'is not there', page: 'other 3\n', expect: /^has no counter http_requests_total$/ },
    { name: 'is a page of something else', page: '<html>', expect: /^has no counter/ },
    {
      name: 'is something else',
      page: `# TYPE ${name} gauge\n${name} 3\n`,
      expect: /^has http_requests_total as a gauge$/,
    },
    { name: 'is no number', page: `${name} NaN\n`, expect: /^has http_requests_total as "NaN"$/ },
    { name: 'is cut off', page: `${name}{code="20`, expect: /^has http_requests_total as ""$/ },
    { name: 'goes below nothing', page: `${name} -1\n`, expect: /as "-1"$/ },
    { name: 'has no end', page: 'x'.repeat(70_000), expect: /^has a line of more than 64 KiB$/ },
  ];
  for (const { name: what, page, expect } of bad) {
    it(`is refused where it ${what}`, () => assert.throws(() => sum(page), { message: expect }));
  }
});
