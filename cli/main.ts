/**
 * The process: says what is needed where this is too old a Node, then caches compiled code, so that
 * what is loaded next starts fast. The daemon does without: Node would keep all of the cache in
 * memory, 6 MB, for the fifth of a second that it saves once.
 */
const neededMajor = 24;

if (Number.parseInt(process.versions.node, 10) < neededMajor) {
  process.stderr.write(
    `ts-swarm needs Node ${neededMajor} or newer, and ${process.execPath} is ${process.version}: ` +
      'put a newer one first in PATH.\n',
  );
  process.exit(1);
}
const { enableCompileCache } = await import('node:module');
if (process.argv[2] !== 'daemon') enableCompileCache();
const { runProcess } = await import('./index.ts');
await runProcess();
