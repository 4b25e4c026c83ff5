import { strict as assert } from 'node:assert';
import { VirtualClock } from '../../lib/clock.ts';
import { seededRandom } from '../../lib/random.ts';
import { serviceSpec, type FileKind } from '../../types/index.ts';
import { Store } from '../store/index.ts';
import { MemoryLog } from '../store/memory-log.ts';
import { Control } from './control.ts';

const base64 = (text: string) => Buffer.from(text).toString('base64');

describe('commands on secrets and configs', () => {
  let store: Store;
  let control: Control;

  beforeEach(async () => {
    store = new Store(new MemoryLog());
    await store.open();
    control = new Control({
      store,
      clock: new VirtualClock(),
      random: seededRandom(1),
      makeJoinToken: () => '',
      makeUnlockKey: () => '',
      checkDemotion: () => undefined,
    });
  });

  const make = async (kind: FileKind, name: string, text = 'one') => {
    const spec = { name, labels: {}, data: base64(text) };
    return (await control.createFile({ kind, spec })).id;
  };
  const use = async (name: string, secretId: string, Mode = {}, Labels = {}) => {
    const File = { Name: 'key', UID: '0', GID: '0', Mode: 0o400 };
    const Secrets = [{ SecretID: secretId, SecretName: 'key', File }];
    const spec = {
      Name: name,
      Mode,
      Labels,
      TaskTemplate: { ContainerSpec: { Image: 'web:1', Secrets } },
    };
    return (await control.createService({ spec: serviceSpec.decode(spec, '') })).id;
  };
  const secretOf = (serviceId: string) =>
    store.service(serviceId)?.spec.task.container?.secrets?.[0]?.secretId;
  const revise = (id: string, text: string) =>
    control.reviseFile({ kind: 'secret', id, data: base64(text) });
  const revisions = () => store.revisions('secret', 'key').map(({ revision }) => revision);

  for (const { name, given, says } of [
    { name: 'a bad name', given: { name: 'a/b' }, says: /^invalid name, only 64/ },
    { name: 'no name', given: { name: '' }, says: /^name must be provided$/ },
    { name: 'no content', given: { data: '' }, says: /larger than 0 and less than 512000 bytes$/ },
    {
      name: 'too much content',
      given: { data: Buffer.alloc(512_000).toString('base64') },
      says: /^secret data must be larger than 0 and less than 512000 bytes$/,
    },
    { name: 'a driver', given: { driver: { name: 'vault' } }, says: /not supported.*"vault"/ },
    { name: 'a nameless driver', given: { driver: {} }, says: /^secret driver must have a name$/ },
    { name: 'a template driver', given: { templating: { name: 'j2' } }, says: /"j2".*use golang/ },
    {
      name: 'what is no template',
      given: { templating: { name: 'golang' }, data: base64('x {{pass .word}} y') },
      says: /^the secret key is not a template that can be filled in \(line 1\): use/,
    },
  ]) {
    it(`refuse ${name}`, async () => {
      const spec = { name: 'key', labels: {}, data: base64('x'), ...given };
      await assert.rejects(control.createFile({ kind: 'secret', spec }), { message: says });
    });
  }

  it('refuse a taken name, and let the other kind have it', async () => {
    await make('secret', 'key');
    await make('config', 'key');
    await assert.rejects(make('secret', 'key'), {
      code: 'already-exists',
      message: 'secret key already exists',
    });
  });

  it('change labels, and nothing else', async () => {
    const id = await make('secret', 'key');
    const version = store.file('secret', id)?.meta.version ?? 0;
    const change = (more: object, at = version) => {
      const spec = { name: 'key', labels: { a: 'b' }, ...more };
      return control.updateFile({ kind: 'secret', id, version: at, spec });
    };
    for (const more of [{ name: 'other' }, { data: base64('two') }, { driver: {} }]) {
      await assert.rejects(change(more), { message: 'only updates to Labels are allowed' });
    }
    await assert.rejects(change({}, version + 1), { message: 'update out of sequence' });
    await change({ data: base64('one') });
    assert.deepEqual(store.file('secret', id)?.spec, {
      name: 'key',
      labels: { a: 'b' },
      data: base64('one'),
    });
  });

  it('remove what nobody uses, and say who does', async () => {
    const id = await make('secret', 'key');
    const service = await use('web', id);
    await assert.rejects(control.removeFile({ kind: 'secret', id }), {
      code: 'invalid-argument',
      message: "secret 'key' is in use by the following service: web",
    });
    await use('api', id);
    await assert.rejects(control.removeFile({ kind: 'secret', id }), {
      message: "secret 'key' is in use by the following services: api, web",
    });
    for (const one of [service, store.serviceByName('api')?.id ?? '']) {
      await control.removeService({ id: one });
    }
    await control.removeFile({ kind: 'secret', id });
    await assert.rejects(use('web', id), { message: 'secret not found: key' });
  });

  it('put another content behind a name, for the services that use it', async () => {
    const id = await make('secret', 'key');
    const web = await use('web', id);
    const other = await use('other', await make('secret', 'unrelated'));
    const untouched = store.service(other);
    const revised = await revise(id, 'two');
    assert.equal(revised.revision, 2);
    assert.deepEqual(revised.services, [{ id: web, name: 'web' }]);
    assert.equal(secretOf(web), revised.id);
    assert.equal(store.service(other), untouched);
    assert.deepEqual(revisions(), [1, 2], 'the first is kept for a rollback');

    const version = store.service(web)?.meta.version ?? 0;
    const { spec } = store.service(web)!;
    await control.updateService({ id: web, version, spec, rollback: true });
    assert.equal(secretOf(web), id);
    await assert.rejects(control.removeFile({ kind: 'secret', id: revised.id }), {
      message: "secret 'key' is in use by the following service: web",
    });
    const again = await revise(revised.id, 'two');
    assert.deepEqual([again.id, again.revision], [revised.id, 2], 'it is there already');
    assert.equal(secretOf(web), revised.id);
    assert.deepEqual((await revise(revised.id, 'two')).services, []);
  });

  it('have no job done again, but the next runs of a cron service', async () => {
    const id = await make('secret', 'key');
    const job = { ReplicatedJob: {} };
    const clock = { 'ts-swarm.cron.schedule': '0 3 * * *' };
    const [once, nightly] = [await use('once', id, job), await use('nightly', id, job, clock)];
    const { jobStatus } = store.service(once) ?? {};
    const revised = await revise(id, 'two');
    assert.deepEqual(revised.services, [{ id: nightly, name: 'nightly' }]);
    assert.deepEqual([secretOf(once), secretOf(nightly)], [id, revised.id]);
    assert.deepEqual(store.service(once)?.jobStatus, jobStatus);
    assert.deepEqual(revisions(), [1, 2]);
  });

  it('keep no content that nobody can go back to', async () => {
    const id = await make('secret', 'key');
    const { id: second } = await revise(id, 'two');
    assert.deepEqual(revisions(), [2]);
    await assert.rejects(revise(second, ''), { message: /^secret data must be larger than 0/ });
    await assert.rejects(revise('nosuch', 'x'), { code: 'not-found' });
  });
});
