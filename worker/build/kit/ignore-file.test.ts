import { strict as assert } from 'node:assert';
import { ignoredPatterns } from './ignore-file.ts';

describe('.dockerignore', () => {
  for (const { name, text, expect } of [
    { name: 'nothing', text: '', expect: [] },
    { name: 'comments and empty lines', text: '# a\n\n  \nb # c\n', expect: ['b # c'] },
    { name: 'paths from the top', text: '/a\n/\n./b/\n', expect: ['a', 'b'] },
    { name: 'what is taken back', text: '*\n! a/b\n!\n', expect: ['*', '!a/b'] },
    { name: 'roundabout paths', text: 'a//b/../c\r\n', expect: ['a/c'] },
    { name: 'any depth', text: '**/*.o\n', expect: ['**/*.o'] },
    { name: 'a byte order mark', text: '\uFEFFa\n', expect: ['a'] },
  ]) {
    it(`is read: ${name}`, () => assert.deepEqual(ignoredPatterns(text), expect));
  }
});
