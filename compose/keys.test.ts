/** The table of keys beside the published schema's, and docs/compose.md, which is written from it. */
import { strict as assert } from 'node:assert';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { keys, type Use } from './keys.ts';

const root = join(import.meta.dirname, '..');
const schema = JSON.parse(
  readFileSync(join(root, 'test/data/compose/schema-keys.json'), 'utf8'),
) as Readonly<Record<string, readonly string[]>>;
const table: Readonly<Record<string, Readonly<Record<string, Use>>>> = keys;
const page = join(root, 'docs/compose.md');
const mark = '<!-- Written from compose/keys.ts: COMPOSE_KEYS=write mocha compose/keys.test.ts -->';

/** Of what is refused or ignored as a whole, the parts need no words of their own. */
function isPartOfUnused(place: string): boolean {
  const parts = place.split('.');
  return parts.some((key, index) => {
    const parent = parts.slice(0, index).join('.');
    const use = table[parent]?.[key]?.use;
    return use === 'refused' || use === 'ignored';
  });
}

function pageText(): string {
  const sections = Object.entries(table).map(([place, uses]) => {
    const rows = Object.entries(uses).map(
      ([key, { use, how }]) => `| \`${key}\` | ${use} | ${how} |`,
    );
    const title = place === '' ? 'The file' : `\`${place}\``;
    return [`### ${title}`, '', '| key | | |', '| --- | --- | --- |', ...rows, ''].join('\n');
  });
  return `${mark}\n\n${sections.join('\n')}`;
}

describe('compose/keys', () => {
  it('has every key of the published schema, and no other', () => {
    const places = Object.keys(schema).filter((place) => !isPartOfUnused(place));
    assert.deepEqual(Object.keys(table).toSorted(), places.toSorted());
    for (const place of places) {
      assert.deepEqual(
        Object.keys(table[place] ?? {}).toSorted(),
        [...(schema[place] ?? [])].toSorted(),
        place,
      );
    }
  });

  it('is what docs/compose.md says', () => {
    const text = readFileSync(page, 'utf8');
    const above = text.slice(0, text.indexOf(mark));
    const expected = `${above}${pageText()}`;
    if (process.env['COMPOSE_KEYS'] === 'write') writeFileSync(page, expected);
    else assert.equal(text, expected, 'docs/compose.md is not as compose/keys.ts has it');
  });
});
