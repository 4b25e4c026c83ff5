import { strict as assert } from 'node:assert';
import { isErrorCode } from '../runtime/testing/errors.ts';
import { needsOf } from './mounts.ts';

const from = 'FROM a\n';

describe('what a build needs of its context', () => {
  for (const { name, text, expect } of [
    { name: 'nothing', text: 'RUN make', expect: [] },
    { name: 'files', text: 'COPY a b/c /d/\nADD --chown=1 ./e f', expect: ['a', 'b/c', 'e'] },
    { name: 'a pattern', text: 'COPY *.txt /', expect: ['*.txt'] },
    { name: 'the list form', text: 'COPY ["a b", "/"]', expect: ['a b'] },
    { name: 'all', text: 'COPY . /', expect: undefined },
    { name: 'all, by its root', text: 'COPY a / /b', expect: undefined },
    { name: 'whatever a variable says', text: 'ARG A\nCOPY $A /', expect: undefined },
    { name: 'a way around', text: 'COPY a/../b /', expect: undefined },
    { name: 'what is in other stages or images', text: 'COPY --from=x . /', expect: [] },
    { name: 'an address', text: 'ADD https://a/b.tar /', expect: [] },
    { name: 'a mount', text: 'RUN --mount=type=bind,source=src,target=/x make', expect: ['src'] },
    { name: 'a mount of all', text: 'RUN --mount=target=/x make', expect: undefined },
    { name: 'a mount of a stage', text: 'RUN --mount=from=x,target=/x make', expect: [] },
    { name: 'a cache', text: 'RUN --mount=type=cache,target=/x make', expect: [] },
    { name: 'a list that is none', text: 'COPY [a /', expect: undefined },
  ]) {
    it(`is ${name}`, () => assert.deepEqual(needsOf(from + text).paths, expect));
  }
});

describe('the secrets that a build asks for', () => {
  it('have ids, or the names of their files', () => {
    const { agents, secrets } = needsOf(
      `${from}RUN --mount=type=secret,id=a --mount=type=secret,target=/x/b,required=true true\n` +
        'RUN --mount=type=secret,id=a,required true\nRUN --mount=type=ssh true\n',
    );
    assert.deepEqual(
      [...secrets],
      [
        ['a', { isRequired: true }],
        ['b', { isRequired: true }],
      ],
    );
    assert.deepEqual([...agents], [['default', { isRequired: false }]]);
  });

  it('are refused where an id could be anything else to buildah', () => {
    for (const id of ['a/b', '../x', 'a=b', '']) {
      const text = `${from}RUN --mount=type=secret,id=${id} true\n`;
      assert.throws(
        () => needsOf(text),
        isErrorCode('invalid-argument', /id .* of a secret mount/),
      );
    }
  });
});
