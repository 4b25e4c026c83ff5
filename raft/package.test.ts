/** The package as it would be installed: it needs nothing from outside, and its README is right. */
import { strict as assert } from 'node:assert';
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { createRequire, isBuiltin } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';

const root = import.meta.dirname;
const require = createRequire(import.meta.url);
const tsc = join(dirname(require.resolve('typescript/package.json')), 'bin', 'tsc');

describe('raft-ts as a package', function () {
  this.timeout(180_000);

  let folder: string;
  before(() => {
    folder = fs.mkdtempSync(join(tmpdir(), 'raft-ts-'));
    const installed = join(folder, 'node_modules', 'raft-ts');
    fs.mkdirSync(installed, { recursive: true });
    const outDir = join(installed, 'dist');
    run(tsc, '-p', join(root, 'tsconfig.build.json'), '--outDir', outDir);
    for (const file of ['package.json', 'README.md'])
      fs.cpSync(join(root, file), join(installed, file));
    // Types of Node itself are the user's own affair.
    const types = dirname(dirname(require.resolve('@types/node/package.json')));
    fs.symlinkSync(types, join(folder, 'node_modules', '@types'));
    fs.writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
  });
  after(() => fs.rmSync(folder, { recursive: true }));

  const run = (program: string, ...args: string[]) =>
    execFileSync(process.execPath, ['--disable-warning=ExperimentalWarning', program, ...args], {
      cwd: folder,
      encoding: 'utf8',
    });

  it('imports nothing from outside its folder, and no other package', () => {
    const sources = fs
      .readdirSync(root, { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith('.ts') && !/(^|\/)(node_modules|dist)\//.test(path));
    assert.ok(sources.length > 40, `only ${sources.length} files found`);
    const wrong = sources.flatMap((path) =>
      [...fs.readFileSync(join(root, path), 'utf8').matchAll(/(?:from|import\() ?'([^']+)'/g)]
        .map(([, target = '']) => target)
        .filter((target) =>
          target.startsWith('.')
            ? !resolve(root, dirname(path), target).startsWith(`${root}/`)
            : !isBuiltin(target) && !isTest(path),
        )
        .map((target) => `${path} imports ${target}`),
    );
    assert.deepEqual(wrong, []);
    const manifest = JSON.parse(fs.readFileSync(join(root, 'package.json'), 'utf8')) as object;
    assert.ok(!('dependencies' in manifest));
  });

  const expected = [/^1 \[ 'hello' \] \[ 'a', 'b', 'c' \]\n$/, /^1 \n2 x\n$/, /^1 hello\n$/];
  const examples = [
    ...fs.readFileSync(join(root, 'README.md'), 'utf8').matchAll(/```ts\n(.*?)```/gs),
  ];
  for (const [position, [, example = '']] of examples.entries()) {
    it(`runs the README's example ${position + 1}, and its types fit`, () => {
      const path = join(folder, `example-${position + 1}.ts`);
      fs.writeFileSync(path, example);
      run(tsc, ...checks, path);
      assert.match(run(path), expected[position] ?? /^$/);
    });
  }

  it('has as many examples as are expected', () => {
    assert.equal(examples.length, expected.length);
  });
});

/** As strict as anybody would have it. */
const checks = (
  '--noEmit --strict --exactOptionalPropertyTypes --noUncheckedIndexedAccess ' +
  '--module nodenext --target es2024 --lib es2024,esnext.disposable --types node --ignoreConfig'
).split(' ');

function isTest(path: string): boolean {
  return path.endsWith('.test.ts');
}
