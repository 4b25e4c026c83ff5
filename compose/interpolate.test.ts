import { strict as assert } from 'node:assert';
import { interpolate } from './interpolate.ts';

const values: Readonly<Record<string, string>> = { A: 'a', EMPTY: '', B_2: 'b' };

describe('compose/interpolate', () => {
  const cases: { given: string; expect: string; unset?: string[] }[] = [
    { given: 'plain', expect: 'plain' },
    { given: '$A-${A}', expect: 'a-a' },
    { given: '$$A $${A}', expect: '$A ${A}' },
    { given: '$B_2x', expect: '', unset: ['B_2x'] },
    { given: '${B_2}x', expect: 'bx' },
    { given: '[${NONE}]', expect: '[]', unset: ['NONE'] },
    { given: '${NONE-d} ${EMPTY-d} ${A-d}', expect: 'd  a' },
    { given: '${NONE:-d} ${EMPTY:-d} ${A:-d}', expect: 'd d a' },
    { given: '${NONE+r}|${EMPTY+r}|${A+r}', expect: '|r|r' },
    { given: '${NONE:+r}|${EMPTY:+r}|${A:+r}', expect: '||r' },
    { given: '${A?no} ${EMPTY?no} ${A:?no}', expect: 'a  a' },
    { given: '${NONE:-${A}}', expect: 'a' },
    { given: '${NONE:-x${NONE:-${A}y}z}', expect: 'xayz' },
    { given: '${NONE:-http://h:1/?q=a-b}', expect: 'http://h:1/?q=a-b' },
    { given: '${NONE:-}', expect: '' },
    { given: '${NONE:-a:-b}', expect: 'a:-b' },
    { given: '${NONE:-$$x}', expect: '$x' },
    { given: '${NONE:-line\nbreak}', expect: 'line\nbreak' },
  ];
  for (const { given, expect, unset = [] } of cases) {
    it(`reads ${JSON.stringify(given)}`, () => {
      const seen: string[] = [];
      const options = { lookup: (name: string) => values[name], onUnset: seen.push.bind(seen) };
      assert.equal(interpolate(given, options), expect);
      assert.deepEqual(seen, unset);
    });
  }

  const wrong: { given: string; expect: RegExp }[] = [
    { given: '${NONE:?say why}', expect: /^required variable NONE is missing a value: say why$/ },
    { given: '${NONE?${A}}', expect: /^required variable NONE is missing a value: a$/ },
    { given: '${EMPTY:?}', expect: /^required variable EMPTY is missing a value: $/ },
    { given: '${A', expect: /^invalid interpolation format for "\$\{A": a \$\{ without its \}$/ },
    { given: 'cost: 5$', expect: /a \$ that begins no variable: write \$\$/ },
    { given: '$1', expect: /a \$ that begins no variable/ },
    { given: '${}', expect: /followed by no variable/ },
    { given: '${A!x}', expect: /"\$\{A!x\}" is not of the form/ },
    { given: '${A:x}', expect: /is not of the form/ },
    { given: '${X:-'.repeat(30) + '}'.repeat(30), expect: /nested too deeply/ },
  ];
  for (const { given, expect } of wrong) {
    it(`refuses ${given.slice(0, 30)}`, () => {
      const lookup = (name: string) => values[name];
      assert.throws(() => interpolate(given, { lookup }), { message: expect });
    });
  }
});
