import { strict as assert } from 'node:assert';
import type { PortConfig, Service } from '../../types/index.ts';
import { Store } from '../store/index.ts';
import { MemoryLog } from '../store/memory-log.ts';
import { makeService } from '../store/testing.ts';
import { allocatePorts, firstAutoPort, lastAutoPort } from './ports.ts';

function ingress(targetPort: number, publishedPort?: number): PortConfig {
  const port = { protocol: 'tcp', targetPort, publishMode: 'ingress' } as const;
  return publishedPort === undefined ? port : { ...port, publishedPort };
}

function serviceOf(
  id: string,
  asked: readonly PortConfig[],
  ports?: readonly PortConfig[],
): Service {
  const service = makeService(id, ports === undefined ? {} : { ports });
  return { ...service, spec: { ...service.spec, endpoint: { ports: asked } } };
}

async function storeOf(...services: Service[]): Promise<Store> {
  const store = new Store(new MemoryLog());
  await store.open();
  for (const object of services) {
    await store.propose([{ op: 'put', table: 'service', object, base: 0 }], { atMs: 0 });
  }
  return store;
}

const numbers = (service: Service) => service.ports?.map((port) => port.publishedPort);

describe('allocatePorts', () => {
  it('takes ports as they are named, and the first free one for each that is open', async () => {
    const other = serviceOf('other', [], [ingress(80, firstAutoPort + 1)]);
    const web = serviceOf('web', [ingress(80), ingress(443, 8443), ingress(81)]);
    const { service } = allocatePorts(await storeOf(other), web, new Map());
    assert.deepEqual(numbers(service), [firstAutoPort, 8443, firstAutoPort + 2]);
  });

  it('keeps what a service has been given, and changes nothing where all is filled in', async () => {
    const ports = [ingress(80, 30_007)];
    const web = serviceOf('web', [ingress(80)], ports);
    const store = await storeOf(web);
    assert.equal(allocatePorts(store, web, new Map()).service, web);
    const more = serviceOf('web', [ingress(81), ingress(80)], ports);
    assert.deepEqual(numbers(allocatePorts(store, more, new Map()).service), [30_000, 30_007]);
  });

  it('gives no port twice in one plan', async () => {
    const taken = new Map<string, string>();
    const store = await storeOf();
    const given = ['a', 'b'].map((id) =>
      numbers(allocatePorts(store, serviceOf(id, [ingress(80)]), taken).service),
    );
    assert.deepEqual(given, [[30_000], [30_001]]);
  });

  it('names the service that holds a port', async () => {
    const store = await storeOf(serviceOf('first', [], [ingress(80, 8080)]));
    const { reason } = allocatePorts(store, serviceOf('web', [ingress(80, 8080)]), new Map());
    assert.equal(reason, "port '8080' is already in use by service 'first' as an ingress port");
  });

  it('says when no port is left', async () => {
    const all = Array.from({ length: lastAutoPort - firstAutoPort + 1 }, (_, n) =>
      ingress(80, firstAutoPort + n),
    );
    const { reason } = allocatePorts(
      await storeOf(serviceOf('first', [], all)),
      serviceOf('web', [ingress(80)]),
      new Map(),
    );
    assert.equal(reason, 'no tcp port between 30000 and 32767 is free');
  });

  it('leaves host-mode ports to the nodes', async () => {
    const host = { ...ingress(80), publishMode: 'host' } as const;
    const { service } = allocatePorts(await storeOf(), serviceOf('web', [host]), new Map());
    assert.deepEqual(service.ports, [host]);
  });
});
