import { strict as assert } from 'node:assert';
import { createRootCa } from '../../manager/ca/index.ts';
import { realClock } from '../clock.ts';
import { seededRandom } from '../random.ts';
import { toBase36 } from './base36.ts';
import { checkRoot, createJoinToken, parseJoinToken, rootDigest, sameText } from './token.ts';

describe('join tokens', () => {
  it('carry the digest of the root and a secret', async () => {
    const { certPem } = await createRootCa(realClock);
    const token = createJoinToken(certPem, seededRandom(1));
    assert.match(token, /^SWMTKN-1-[0-9a-z]{50}-[0-9a-z]{25}$/);
    assert.equal(parseJoinToken(` ${token}\n`).digest, rootDigest(certPem));
    checkRoot(certPem, token);
    assert.notEqual(createJoinToken(certPem, seededRandom(2)), token);
  });

  it('are refused in Docker’s words where they are malformed', () => {
    const digest = 'a'.repeat(50);
    for (const token of [
      '',
      'SWMTKN-1',
      `SWMTKN-2-${digest}-${'b'.repeat(25)}`,
      `SWMTKN-1-${digest}-${'b'.repeat(24)}`,
      `SWMTKN-1-${digest.toUpperCase()}-${'b'.repeat(25)}`,
    ]) {
      assert.throws(() => parseJoinToken(token), {
        code: 'invalid-argument',
        message: /^invalid join token/,
      });
    }
  });

  it('do not fit another root, nor what is no certificate', async () => {
    const [one, other] = [await createRootCa(realClock), await createRootCa(realClock)];
    const token = createJoinToken(one.certPem, seededRandom(1));
    const code = 'unauthenticated';
    assert.throws(() => checkRoot(other.certPem, token), { code, message: /Expected: \w{50}/ });
    assert.throws(() => checkRoot('nonsense', token), { code, message: /no readable CA/ });
  });
});

describe('base 36', () => {
  it('keeps to its length', () => {
    assert.equal(toBase36(new Uint8Array([0]), 3), '000');
    assert.equal(toBase36(new Uint8Array([36]), 3), '010');
    assert.equal(toBase36(new Uint8Array(32).fill(255), 50).length, 50);
    assert.equal(toBase36(new Uint8Array(32).fill(255), 25).length, 25);
  });
});

describe('sameText', () => {
  it('compares', () => {
    assert.ok(sameText('a', 'a'));
    assert.ok(!sameText('a', 'b'));
    assert.ok(!sameText('a', 'aa'));
  });
});
