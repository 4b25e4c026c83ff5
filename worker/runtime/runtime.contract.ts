// oxlint-disable max-lines-per-function -- a test suite, as those in *.test.ts are
/** What every adapter of the Runtime port must do: the real one and the fake are put to it. */
import { strict as assert } from 'node:assert';
import { isErrorCode } from './testing/errors.ts';
import { containerConfig } from './testing/container-config.ts';
import type { OutputSink } from './io.ts';
import { firstLine } from './testing/first-line.ts';
import type { ContainerConfig, ContainerExit, LogLine, LogQuery, Runtime } from './runtime.ts';

/** Programs that an adapter's host can run; argv is what a shell of busybox would take. */
interface Harness {
  readonly runtime: Runtime;
  /** The image that programs are run from. */
  readonly image: ContainerConfig['image'];
}

const both = { follow: false, stdout: true, stderr: true } satisfies LogQuery;

export function runtimeContract(name: string, open: () => Promise<Harness>): void {
  describe(`runtime contract: ${name}`, () => {
    let runtime: Runtime;
    let image: ContainerConfig['image'];
    let made: string[];

    beforeEach(async () => {
      ({ runtime, image } = await open());
      made = [];
    });

    afterEach(async () => {
      for (const id of made) await runtime.remove(id);
    });

    const create = async (id: string, script: string, more: Partial<ContainerConfig> = {}) => {
      made.push(id);
      return runtime.create(containerConfig({ id, image, argv: ['sh', '-c', script], ...more }));
    };
    const run = async (id: string, script: string, more: Partial<ContainerConfig> = {}) => {
      await create(id, script, more);
      await runtime.start(id);
    };
    const exitOf = (id: string) =>
      new Promise<ContainerExit>((resolve) => {
        const listening = runtime.onExit((exit) => {
          if (exit.id !== id) return;
          listening[Symbol.dispose]();
          resolve(exit);
        });
      });

    it('creates held, runs, and reports the exit code once', async () => {
      const exits: ContainerExit[] = [];
      const listening = runtime.onExit((exit) => exits.push(exit));
      const ended = exitOf('exits');
      const { pid } = await create('exits', 'exit 3', { labels: { a: 'b' } });
      assert.ok(pid > 0);
      assert.equal((await runtime.inspect('exits'))?.state, 'created');
      await runtime.start('exits');
      const exit = await ended;
      assert.deepEqual([exit.exitCode, exit.oomKilled], [3, false]);
      const info = await runtime.inspect('exits');
      assert.deepEqual([info?.state, info?.pid, info?.labels], ['exited', 0, { a: 'b' }]);
      assert.deepEqual(info?.exit, exit);
      listening[Symbol.dispose]();
      assert.deepEqual(exits, [exit]);
    });

    it('refuses a second container of the same name', async () => {
      await create('twice', 'sleep 100');
      await assert.rejects(create('twice', 'sleep 100'), isErrorCode('already-exists'));
    });

    it('stops by the signal where the process obeys', async () => {
      await run('obeys', 'trap "exit 0" TERM; echo ready; while :; do sleep 0.05; done');
      await firstLine(runtime, 'obeys');
      const exit = await runtime.stop('obeys', { signalName: 'SIGTERM', graceMs: 10_000 });
      assert.notEqual(exit.exitCode, 137);
      assert.equal((await runtime.inspect('obeys'))?.state, 'exited');
    });

    it('stops by force after the grace', async () => {
      await run('stubborn', 'trap "" TERM; echo ready; sleep 100');
      await firstLine(runtime, 'stubborn');
      const exit = await runtime.stop('stubborn', { signalName: 'SIGTERM', graceMs: 50 });
      assert.equal(exit.exitCode, 137);
      const again = await runtime.stop('stubborn', { signalName: 'SIGTERM', graceMs: 50 });
      assert.deepEqual(again, exit);
    });

    it('stops and removes one that was never started', async () => {
      await create('held', 'sleep 100');
      const exit = await runtime.stop('held', { signalName: 'SIGTERM', graceMs: 10_000 });
      assert.equal(exit.exitCode, 137);
      await create('held-too', 'sleep 100');
      await runtime.remove('held-too');
      assert.equal(await runtime.inspect('held-too'), undefined);
    });

    it('kills, and does not mind one that has ended', async () => {
      await run('killed', 'sleep 100');
      const ended = exitOf('killed');
      await runtime.kill('killed', 'SIGKILL');
      assert.equal((await ended).exitCode, 137);
      await runtime.kill('killed', 'TERM');
      await assert.rejects(runtime.kill('killed', 'NONSENSE'), isErrorCode('invalid-argument'));
    });

    it('keeps what was written, in order, by stream', async () => {
      const ended = exitOf('writes');
      await run('writes', 'echo one; sleep 0.05; echo two >&2; sleep 0.05; echo -n three');
      await ended;
      const lines = await collect(runtime.logs('writes', both));
      assert.deepEqual(lines.map(text), ['stdout one\n', 'stderr two\n', 'stdout three']);
      assert.ok(lines[0]!.timeNs < lines[1]!.timeNs && lines[1]!.timeNs < lines[2]!.timeNs);
      const tail = await collect(runtime.logs('writes', { ...both, tail: 2 }));
      assert.deepEqual(tail, lines.slice(1));
      const errors = await collect(runtime.logs('writes', { ...both, stdout: false, tail: 1 }));
      assert.deepEqual(errors, [lines[1]]);
      assert.deepEqual(await collect(runtime.logs('writes', { ...both, tail: 0 })), []);
    });

    it('follows a log to its end', async () => {
      await run('followed', 'echo one; trap "exit 0" TERM; while :; do sleep 0.05; done');
      const lines: string[] = [];
      for await (const line of runtime.logs('followed', { ...both, follow: true })) {
        lines.push(text(line));
        await runtime.stop('followed', { signalName: 'SIGKILL', graceMs: 0 });
      }
      assert.deepEqual(lines, ['stdout one\n']);
    });

    it('executes commands in a running container', async () => {
      await run('execs', 'sleep 100');
      const result = await runtime.exec('execs', {
        argv: ['sh', '-c', 'echo fine; exit 4'],
        timeoutMs: 60_000,
      });
      assert.deepEqual(result, { exitCode: 4, output: 'fine\n', timedOut: false });
    });

    it('hands output to who is attached, and ends with it', async () => {
      const ended = exitOf('attached');
      await create('attached', 'echo one; echo two >&2', { more: { attachable: true } });
      const { sink, heard, over } = listening();
      runtime.io.attach('attached', sink);
      await runtime.start('attached');
      await ended;
      await over;
      assert.deepEqual(heard.toSorted(), ['stderr two\n', 'stdout one\n']);
    });

    it('has no standard input but where one was asked for', async () => {
      await run('mute', 'sleep 100');
      assert.throws(() => runtime.io.stdin('mute'), isErrorCode('failed-precondition'));
      await assert.rejects(runtime.io.resize('nowhere', size), isErrorCode('not-found'));
    });

    it('runs commands for clients', async () => {
      await run('serves', 'sleep 100');
      const { sink, heard, over } = listening();
      const request = { env: [], workdir: '', user: '', tty: false, stdin: false };
      const { pid, exited } = await runtime.io.exec(
        'serves',
        { ...request, argv: ['sh', '-c', 'echo fine; exit 4'], privileged: false },
        sink,
      );
      assert.ok(pid > 0);
      assert.equal(await exited, 4);
      await over;
      assert.deepEqual(heard, ['stdout fine\n']);
    });

    it('pauses, and resumes', async () => {
      await create('frozen', 'sleep 100');
      const { controls } = runtime;
      await assert.rejects(controls.pause('frozen'), isErrorCode('failed-precondition'));
      await runtime.start('frozen');
      await controls.pause('frozen');
      assert.equal((await runtime.inspect('frozen'))?.state, 'paused');
      await assert.rejects(controls.pause('frozen'), isErrorCode('failed-precondition'));
      await controls.resume('frozen');
      assert.equal((await runtime.inspect('frozen'))?.state, 'running');
      assert.ok((await controls.pids('frozen')).length > 0);
      assert.ok((await controls.usage('frozen')).pids.current > 0);
    });

    it('keeps layers that are not a container’s own', async () => {
      const { layers } = runtime;
      await layers.prepare('kept', image);
      await assert.rejects(layers.prepare('kept', image), isErrorCode('already-exists'));
      await create('on-layer', 'sleep 100', { more: { layer: 'kept' } });
      await runtime.remove('on-layer');
      assert.ok((await layers.list()).includes('kept'));
      assert.ok((await layers.mounts('kept')).length > 0);
      await layers.remove('kept');
      await layers.remove('kept');
      await assert.rejects(layers.mounts('kept'), isErrorCode('not-found'));
    });

    it('knows its containers, and says which it does not', async () => {
      await create('listed', 'sleep 100');
      assert.ok((await runtime.list()).some(({ id }) => id === 'listed'));
      assert.equal(await runtime.inspect('nowhere'), undefined);
      await runtime.remove('nowhere');
      await assert.rejects(runtime.start('nowhere'), isErrorCode('not-found'));
      await assert.rejects(
        runtime.stop('nowhere', { signalName: 'TERM', graceMs: 1 }),
        isErrorCode('not-found'),
      );
    });
  });
}

const size = { width: 80, height: 24 };

/** A client at a container's streams, and what it has heard. */
function listening(): { sink: OutputSink; heard: string[]; over: Promise<void> } {
  const over = Promise.withResolvers<void>();
  const heard: string[] = [];
  const sink: OutputSink = {
    write: async (stream, data) => void heard.push(`${stream} ${Buffer.from(data).toString()}`),
    end: () => over.resolve(),
  };
  return { sink, heard, over: over.promise };
}

export async function collect(lines: AsyncIterable<LogLine>): Promise<LogLine[]> {
  const collected: LogLine[] = [];
  for await (const line of lines) collected.push(line);
  return collected;
}

export function text(line: LogLine): string {
  return `${line.stream} ${Buffer.from(line.data).toString()}`;
}
