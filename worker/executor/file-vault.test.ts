import { strict as assert } from 'node:assert';
import type { FileReference } from '../../types/index.ts';
import { FileVault } from './file-vault.ts';

const reference = (id: string): FileReference => ({ kind: 'secret', id, name: `name of ${id}` });
const never = new AbortController().signal;

describe('the vault of secrets and configs', () => {
  it('lets tasks wait for what has not been told yet', async () => {
    const vault = new FileVault();
    const got = vault.get([reference('a'), reference('b')], never);
    vault.assign({ complete: true, update: [{ id: 'a', data: 'eA==' }], remove: [] });
    vault.assign({ complete: false, update: [{ id: 'b', data: 'eQ==' }], remove: [] });
    assert.deepEqual([...(await got).keys()], ['a', 'b']);
    assert.equal((await vault.get([], never)).size, 0);
  });

  it('says what is there no more', async () => {
    const vault = new FileVault();
    vault.assign({ complete: false, update: [{ id: 'a' }], remove: [] });
    await assert.rejects(vault.get([reference('a')], never), {
      code: 'not-found',
      message: 'the secret name of a (a) is there no more',
    });
  });

  it('forgets what is taken back, and all that a new session does not tell again', async () => {
    const vault = new FileVault();
    const update = ['a', 'b'].map((id) => ({ id, data: 'eA==' }));
    vault.assign({ complete: true, update, remove: [] });
    vault.assign({ complete: false, update: [], remove: ['a'] });
    assert.equal(vault.size, 1);
    vault.assign({ complete: true, update: [], remove: [] });
    assert.equal(vault.size, 0);
    const controller = new AbortController();
    const got = vault.get([reference('b')], controller.signal);
    controller.abort(new Error('unwanted'));
    await assert.rejects(got, { message: 'unwanted' });
  });
});
