import { strict as assert } from 'node:assert';
import { cleanPath, isLocalPath } from './local-path.ts';

describe('a path is local', () => {
  const cases: readonly (readonly [path: string, isLocal: boolean])[] = [
    ['a', true],
    ['a/b/../c', true],
    ['.', true],
    ['a/..', true],
    ['..data', true],
    ['', false],
    ['/a', false],
    ['..', false],
    ['a/../../b', false],
    ['./../a', false],
  ];
  for (const [path, isLocal] of cases) {
    it(`${JSON.stringify(path)}: ${isLocal}`, () => assert.equal(isLocalPath(path), isLocal));
  }
});

describe('the plain form of a path', () => {
  const cases: readonly (readonly [path: string, plain: string])[] = [
    ['/', '/'],
    ['/a', '/a'],
    ['/a//b/', '/a/b'],
    ['/a/..', '/'],
    ['/./a/.', '/a'],
  ];
  for (const [path, plain] of cases) {
    it(`${path}: ${plain}`, () => assert.equal(cleanPath(path), plain));
  }
});
