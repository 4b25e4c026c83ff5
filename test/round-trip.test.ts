/** A spec that a client reads and sends back unchanged is the same spec: nothing restarts. */
import { strict as assert } from 'node:assert';
import { serviceSpecJson } from '../api/convert/service.ts';
import { seededRandom } from '../lib/random.ts';
import { normalizeService } from '../manager/control/normalize.ts';
import { serviceSpec } from '../types/index.ts';

const random = seededRandom(1);
const stored = (json: unknown) => normalizeService(serviceSpec.decode(json, ''), random);

describe('a service spec through the API and back', () => {
  const cases: readonly { readonly name: string; readonly json: unknown }[] = [
    { name: 'the least', json: { Name: 'web', TaskTemplate: { ContainerSpec: { Image: 'a:1' } } } },
    {
      name: 'what the docker CLI sends',
      json: {
        Name: 'web',
        Labels: {},
        TaskTemplate: {
          ContainerSpec: {
            Image: 'a:1',
            Init: false,
            DNSConfig: {},
            Isolation: 'default',
            StopGracePeriod: 10_000_000_000,
          },
          Resources: { Limits: {}, Reservations: {} },
          RestartPolicy: { Condition: 'any', Delay: 5_000_000_000, MaxAttempts: 0 },
          Placement: { Platforms: [{ Architecture: 'amd64', OS: 'linux' }] },
          ForceUpdate: 0,
          Runtime: 'container',
        },
        Mode: { Replicated: { Replicas: 3 } },
        UpdateConfig: { Parallelism: 1, FailureAction: 'pause', Monitor: 5_000_000_000 },
        EndpointSpec: {
          Mode: 'vip',
          Ports: [{ Protocol: 'tcp', TargetPort: 80, PublishedPort: 80, PublishMode: 'host' }],
        },
      },
    },
    {
      name: 'policies that say little',
      json: {
        Name: 'web',
        TaskTemplate: {
          ContainerSpec: { Image: 'a:1' },
          RestartPolicy: { Condition: 'on-failure' },
        },
        UpdateConfig: { Parallelism: 2 },
        RollbackConfig: {},
        EndpointSpec: { Ports: [{ TargetPort: 80, PublishMode: 'host' }] },
      },
    },
    {
      name: 'odd durations',
      json: {
        Name: 'web',
        TaskTemplate: {
          ContainerSpec: {
            Image: 'a:1',
            Healthcheck: { Test: ['CMD', 'true'], Interval: 1_234_567, Timeout: 3_000_000_001 },
          },
        },
        Mode: { Global: {} },
      },
    },
  ];
  for (const { name, json } of cases) {
    it(`stays the same: ${name}`, () => {
      const spec = stored(json);
      assert.deepEqual(stored(JSON.parse(JSON.stringify(serviceSpecJson(spec)))), spec);
    });
  }
});
