import { strict as assert } from 'node:assert';
import { realClock, VirtualClock } from '../../lib/clock.ts';
import { FakeRuntime, type FakeProgram } from './fake-runtime.ts';
import { runtimeContract } from './runtime.contract.ts';
import { containerConfig } from './testing/container-config.ts';

const image = { name: 'busybox', chainId: 'busybox' };

/** Understands just the scripts of the contract. */
function interpret(script: string): FakeProgram {
  const output = [...script.matchAll(/echo (-n )?(\w+)( >&2)?/g)].map(([, bare, word, error]) => ({
    stream: error === undefined ? ('stdout' as const) : ('stderr' as const),
    text: bare === undefined ? `${word}\n` : `${word}`,
  }));
  const exit = /^exit (\d+)$/.exec(script);
  const runsOn = /sleep 100|while/.test(script);
  return {
    output,
    ignoresSignals: script.includes('trap ""'),
    ...(runsOn ? {} : { exit: { exitCode: Number(exit?.[1] ?? 0) } }),
  };
}

runtimeContract('fake', async () => {
  const runtime = new FakeRuntime({ clock: realClock });
  runtime.program = ({ argv }) => interpret(argv[2] ?? '');
  runtime.onExec = () => ({ exitCode: 4, output: 'fine\n' });
  return { runtime, image };
});

describe('fake runtime', () => {
  it('kills after the grace of a virtual clock', async () => {
    const clock = new VirtualClock();
    const runtime = new FakeRuntime({ clock });
    runtime.program = () => ({ ignoresSignals: true });
    await runtime.create(containerConfig({ id: 'a', image, argv: ['sleep'] }));
    await runtime.start('a');
    const stopped = runtime.stop('a', { signalName: 'SIGTERM', graceMs: 10_000 });
    clock.advance(9_999);
    assert.equal((await runtime.inspect('a'))?.state, 'running');
    clock.advance(1);
    assert.equal((await stopped).exitCode, 137);
  });
});
