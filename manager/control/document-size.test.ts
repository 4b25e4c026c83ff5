/** What an external store would refuse in the end is refused at once. */
import { strict as assert } from 'node:assert';
import { VirtualClock } from '../../lib/clock.ts';
import { seededRandom } from '../../lib/random.ts';
import { fileSpec, serviceSpec, type ServiceSpec } from '../../types/index.ts';
import { Store } from '../store/index.ts';
import { MemoryLog } from '../store/memory-log.ts';
import { Control } from './control.ts';

const kibibyte = 1024;

async function swarm(documentBytesMax?: number) {
  const store = new Store(
    new MemoryLog(documentBytesMax === undefined ? {} : { documentBytesMax }),
  );
  await store.open();
  const control = new Control({
    store,
    clock: new VirtualClock(),
    random: seededRandom(3),
    makeJoinToken: () => '',
    makeUnlockKey: () => '',
    checkDemotion: () => undefined,
  });
  return { store, control };
}

function spec(labelBytes: number): ServiceSpec {
  const given = {
    Name: 'web',
    Labels: { long: 'x'.repeat(labelBytes) },
    TaskTemplate: { ContainerSpec: { Image: 'web:1' } },
  };
  return serviceSpec.decode(given, '');
}

describe('objects in an external store', () => {
  it('are refused at once where they would be too large, also by what managers add', async () => {
    const { control, store } = await swarm(164 * kibibyte);
    await assert.rejects(control.createService({ spec: spec(100 * kibibyte) }), {
      code: 'invalid-argument',
      message: /^service web is too large .*: it takes 10\d{4} bytes and may take 102400; shorten/,
    });
    assert.equal(store.serviceByName('web'), undefined);
    const { id } = await control.createService({ spec: spec(60 * kibibyte) });
    const version = store.service(id)?.meta.version ?? 0;
    await assert.rejects(control.updateService({ id, version, spec: spec(61 * kibibyte) }), {
      code: 'invalid-argument',
      message: /takes 12\d{4} bytes, together with the spec that it may be rolled back to, and/,
    });
    assert.equal(store.service(id)?.meta.version, version, 'nothing was changed');
    await control.updateService({ id, version, spec: spec(1) });
    const config = fileSpec.decode({ Name: 'big', Data: 'eHh4'.repeat(30 * kibibyte) }, '');
    await assert.rejects(control.createFile({ kind: 'config', spec: config }), {
      message: /^config big is too large/,
    });
  });

  it('have no such limit elsewhere', async () => {
    const { control } = await swarm();
    await control.createService({ spec: spec(2_000 * kibibyte) });
  });
});
