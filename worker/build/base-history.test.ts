import { strict as assert } from 'node:assert';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sha256 } from '../image/oci.ts';
import { completeHistory, withWholeHistory } from './base-history.ts';

const config = (layers: number, history?: readonly object[]) => ({
  os: 'linux',
  rootfs: { type: 'layers', diff_ids: Array.from({ length: layers }, (_, at) => `sha256:${at}`) },
  ...(history === undefined ? {} : { history }),
});

const step = { created_by: 'RUN x' };
const empty = { created_by: 'ENV A=b', empty_layer: true };

describe('the history of an image that is built on', () => {
  for (const [name, layers, history, entries] of [
    ['that is not there', 3, undefined, 3],
    ['that is empty', 2, [], 2],
    ['of fewer layers', 3, [step, empty], 4],
    ['of more layers than there are', 1, [step, step], 1],
  ] as const) {
    it(`${name} gets an entry for each`, () => {
      const whole = withWholeHistory(config(layers, history));
      const list = whole?.['history'] as readonly { readonly empty_layer?: boolean }[];
      assert.equal(list.length, entries);
      assert.equal(list.filter(({ empty_layer: is }) => is !== true).length, layers);
      assert.equal(withWholeHistory(whole ?? {}), undefined);
    });
  }

  it('stays as it is where it tells of each', () => {
    assert.equal(withWholeHistory(config(2, [step, empty, step])), undefined);
  });

  it('is completed in a layout, whose image has another id then', async () => {
    const layout = mkdtempSync(join(tmpdir(), 'layout-'));
    try {
      mkdirSync(join(layout, 'blobs/sha256'), { recursive: true });
      const put = (document: object) => {
        const text = JSON.stringify(document);
        const digest = sha256(text);
        writeFileSync(join(layout, 'blobs', ...digest.split(':')), text);
        return { mediaType: 'x', digest, size: text.length };
      };
      const top = put({ schemaVersion: 2, config: put(config(2)), layers: [] });
      const index = { schemaVersion: 2, manifests: [top] };
      writeFileSync(join(layout, 'index.json'), JSON.stringify(index));
      const id = await completeHistory(layout);
      const read = (...path: string[]) =>
        JSON.parse(readFileSync(join(layout, ...path), 'utf8')) as Record<string, never>;
      const [found] = read('index.json')['manifests'] as unknown as [{ digest: string }];
      const manifest = read('blobs', ...found.digest.split(':'));
      const { digest } = manifest['config'] as unknown as { digest: string };
      assert.equal(digest, `sha256:${id}`);
      const whole = read('blobs', ...digest.split(':')) as {
        readonly history?: readonly unknown[];
      };
      assert.equal(whole.history?.length, 2);
      assert.equal(await completeHistory(layout), undefined);
    } finally {
      rmSync(layout, { recursive: true });
    }
  });
});
