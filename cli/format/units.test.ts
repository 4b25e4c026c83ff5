import { strict as assert } from 'node:assert';
import { alignColumns } from './table.ts';
import { unixSeconds } from './time.ts';
import { ellipsis, goDuration, humanBinarySize, humanSize, naturalCompare } from './units.ts';

describe('format/units', () => {
  it('scales sizes', () => {
    assert.equal(humanSize(999), '999B');
    assert.equal(humanSize(1_981_000, 3), '1.98MB');
    assert.equal(humanSize(1_982_345), '1.982MB');
    assert.equal(humanBinarySize(8 * 1024 ** 2), '8MiB');
    assert.equal(humanBinarySize(25_276_149_760), '23.54GiB');
  });

  it('prints durations as Go does', () => {
    assert.equal(goDuration(0), '0s');
    assert.equal(goDuration(90_000), '1m30s');
    assert.equal(goDuration(7_776_000_000), '2160h0m0s');
    assert.equal(goDuration(1500), '1.5s');
    assert.equal(goDuration(0.01), '10µs');
  });

  it('cuts by characters', () => {
    assert.equal(ellipsis('abcdef', 4), 'abc…');
    assert.equal(ellipsis('😀😀😀', 3), '😀😀😀');
  });

  it('sorts as people do', () => {
    const names = ['web.10', 'web.2', 'db.1', 'web.1'];
    assert.deepEqual(names.toSorted(naturalCompare), ['db.1', 'web.1', 'web.2', 'web.10']);
  });

  it('reads points in time', () => {
    assert.equal(unixSeconds('42m', 10_000_000), '7480.000');
    assert.equal(unixSeconds('1700000000', 0), '1700000000');
    assert.equal(unixSeconds('2013-01-02T13:23:37Z', 0), '1357133017.000');
    assert.throws(() => unixSeconds('yesterday', 0), /failed to parse "yesterday" as a time/);
  });

  it('aligns columns as far as lines share them', () => {
    assert.deepEqual(alignColumns(['A\tLONGER HEADER\tC', 'a\tb\tc', 'no columns', 'x\ty']), [
      'A         LONGER HEADER   C',
      'a         b               c',
      'no columns',
      'x         y',
    ]);
  });
});
