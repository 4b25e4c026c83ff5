import { strict as assert } from 'node:assert';
import { VirtualClock } from '../../lib/clock.ts';
import { silentLogger, type Logger } from '../../lib/log.ts';
import { Puller, type PullParts } from './pull.ts';
import { canonicalString, parseReference } from './reference.ts';
import { startStub } from './testing/stub.ts';
import { RegistryClient } from './registry/index.ts';

const never = new Promise<never>(() => {});

describe('a registry that is silent', () => {
  const reference = parseReference('registry.example:5000/web:1');
  const target = { mediaType: 'application/json', digest: `sha256:${'0'.repeat(64)}`, size: 1 };
  const resolved = { id: 'image' };

  function scene(isPresent: boolean) {
    const clock = new VirtualClock();
    const asked = Promise.withResolvers<void>();
    const log: Logger = { ...silentLogger, warn: () => asked.resolve() };
    const registry = new RegistryClient(
      { insecureRegistries: ['10.0.0.0/8'], mirrors: [], lookup: () => never },
      { clock, log },
    );
    const record = { name: canonicalString(reference), reference, target };
    const parts = {
      clock,
      registry,
      log: silentLogger,
      records: { get: () => Promise.resolve(isPresent ? record : undefined) },
      library: { resolve: () => Promise.resolve(resolved) },
    };
    const puller = new Puller(parts as unknown as PullParts, []);
    const pull = (name = reference) =>
      puller.pull({
        reference: name,
        auth: undefined,
        platform: undefined,
        signal: new AbortController().signal,
        report: () => undefined,
      });
    return { clock, pull, askedAgain: asked.promise };
  }

  it('is given up after 5 s where an image is present', async () => {
    const { clock, pull } = scene(true);
    const pulled = pull();
    await settle();
    clock.advance(5_000);
    assert.deepEqual(await pulled, { resolved, isNew: false });
  });

  it('is given up after 15 s where none is', async () => {
    const { clock, pull } = scene(false);
    const message = 'registry registry.example:5000 did not answer within 15 s';
    const failed = assert.rejects(pull(), { code: 'unavailable', message });
    await settle();
    clock.advance(15_000);
    await failed;
  });

  it('is given up with what it said last', async () => {
    await using stub = await startStub((_, response) => response.writeHead(503).end());
    const { clock, pull, askedAgain } = scene(false);
    const failed = assert.rejects(pull(parseReference(`${stub.host}/web:1`)), {
      code: 'unavailable',
      message: /received unexpected HTTP status 503$/,
    });
    await askedAgain;
    clock.advance(15_000);
    await failed;
  });
});

function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
