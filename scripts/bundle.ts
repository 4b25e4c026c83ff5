/**
 * Makes one file of the daemon's modules and of the packages that they need, after the compiler's
 * run: docs/adr/0032. The CLI, which needs few of its modules at a time, stays as it is.
 */
import { rmSync } from 'node:fs';
import { build } from 'esbuild';

const outdir = 'dist/bundle';
rmSync(outdir, { recursive: true, force: true });
await build({
  entryPoints: { daemon: 'dist/daemon/main.js' },
  outdir,
  bundle: true,
  // What is loaded only when it is needed stays in files of its own. Nothing is made smaller: lines
  // and names of a stack trace are still those that one can look up.
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node24',
  // The first looks for its binaries beside itself; the others only managers load, by `import()`,
  // which would find no names in a bundled package of CommonJS.
  external: ['koffi', 'reflect-metadata', '@peculiar/x509'],
  legalComments: 'eof',
  // For packages of CommonJS, which the bundle has turned into functions.
  banner: {
    js: "import{createRequire as requireFrom}from'node:module';const require=requireFrom(import.meta.url);",
  },
  logLevel: 'warning',
});
