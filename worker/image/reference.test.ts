import { strict as assert } from 'node:assert';
import * as fc from 'fast-check';
import {
  canonicalString,
  familiarName,
  familiarString,
  isDigest,
  parseReference,
  tryParseReference,
  withDefaultTag,
} from './reference.ts';

const digest = `sha256:${'0123456789abcdef'.repeat(4)}`;

describe('image references', () => {
  const valid: readonly [given: string, canonical: string, familiar: string][] = [
    ['busybox', 'docker.io/library/busybox', 'busybox'],
    ['busybox:1.36', 'docker.io/library/busybox:1.36', 'busybox:1.36'],
    ['library/busybox', 'docker.io/library/busybox', 'busybox'],
    ['docker.io/busybox', 'docker.io/library/busybox', 'busybox'],
    ['index.docker.io/busybox', 'docker.io/library/busybox', 'busybox'],
    ['docker.io/library/a/b', 'docker.io/library/a/b', 'library/a/b'],
    ['team/web:1', 'docker.io/team/web:1', 'team/web:1'],
    ['localhost/web', 'localhost/web', 'localhost/web'],
    ['localhost:5000/web:1', 'localhost:5000/web:1', 'localhost:5000/web:1'],
    ['10.99.0.254:5000/web:1', '10.99.0.254:5000/web:1', '10.99.0.254:5000/web:1'],
    ['[::1]:5000/web', '[::1]:5000/web', '[::1]:5000/web'],
    ['ghcr.io/a/b/c__d-e.f:V1_x', 'ghcr.io/a/b/c__d-e.f:V1_x', 'ghcr.io/a/b/c__d-e.f:V1_x'],
    ['HOST/web', 'HOST/web', 'HOST/web'],
    [`web@${digest}`, `docker.io/library/web@${digest}`, `web@${digest}`],
    [`web:1@${digest}`, `docker.io/library/web:1@${digest}`, `web:1@${digest}`],
  ];
  for (const [given, canonical, familiar] of valid) {
    it(`reads ${given}`, () => {
      const reference = parseReference(given);
      assert.equal(canonicalString(reference), canonical);
      assert.equal(familiarString(reference), familiar);
    });
  }

  const invalid: readonly [given: string, why: RegExp][] = [
    ['', /no name/],
    [':1', /no name/],
    ['@sha256:abc', /no name/],
    ['Web', /repository name \(library\/Web\) must be lowercase/],
    ['a b', /"library\/a b" is no repository name/],
    ['web:', /"" is no tag/],
    ['web:-1', /"-1" is no tag/],
    [`web:${'a'.repeat(129)}`, /is no tag/],
    ['web@sha256:1234', /is no digest/],
    [`web@${digest.toUpperCase()}`, /is no digest/],
    [`web@md5:${'0'.repeat(64)}`, /is no digest/],
    ['a'.repeat(256), /more than 255 characters/],
    ['a'.repeat(64), /look like an image id/],
    ['-host.com/web', /"-host.com" is no host/],
    ['host:port/web', /"host:port" is no host/],
    ['a//b', /is no repository name/],
    ['a/b/', /is no repository name/],
    ['https://host/web', /is no host/],
    ['web\n', /is no repository name/],
  ];
  for (const [given, why] of invalid) {
    it(`refuses ${JSON.stringify(given.slice(0, 40))}`, () => {
      assert.throws(() => parseReference(given), {
        name: 'SwarmError',
        code: 'invalid-argument',
        message: new RegExp(`^invalid reference format: .*${why.source}`),
      });
      assert.equal(tryParseReference(given), undefined);
    });
  }

  it('fills in the tag only where there is neither tag nor digest', () => {
    const filled = (text: string) => familiarString(withDefaultTag(parseReference(text)));
    assert.equal(filled('web'), 'web:latest');
    assert.equal(filled('web:1'), 'web:1');
    assert.equal(filled(`web@${digest}`), `web@${digest}`);
    assert.equal(familiarName(parseReference('web:1')), 'web');
  });

  it('knows a digest', () => {
    assert.ok(isDigest(digest));
    assert.ok(isDigest(`sha512:${'a'.repeat(128)}`));
    assert.ok(!isDigest(`sha256:${'a'.repeat(63)}`));
    assert.ok(!isDigest(`sha256:${'A'.repeat(64)}`));
  });

  it('reads its own canonical and familiar forms back to the same name', () => {
    const word = fc.stringMatching(/^[a-z0-9]{1,8}$/);
    const host = fc.constantFrom('docker.io/', 'localhost:5000/', '10.0.0.1:80/', 'r.example/', '');
    const tag = fc.option(fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,9}$/), {
      nil: undefined,
    });
    fc.assert(
      fc.property(
        host,
        fc.array(word, { minLength: 1, maxLength: 3 }),
        tag,
        (prefix, words, tag) => {
          const text = prefix + words.join('/') + (tag === undefined ? '' : `:${tag}`);
          const reference = parseReference(text);
          assert.deepEqual(parseReference(canonicalString(reference)), reference);
          assert.deepEqual(parseReference(familiarString(reference)), reference);
        },
      ),
    );
  });
});
