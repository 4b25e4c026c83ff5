import { strict as assert } from 'node:assert';
import { serviceSpec } from '../../types/index.ts';
import { validateAutoscale } from './validate-autoscale.ts';

const spec = (text: string, rest: Record<string, unknown> = {}) =>
  serviceSpec.decode(
    { Name: 'web', Labels: { 'ts-swarm.autoscale': text }, Mode: { Replicated: {} }, ...rest },
    '',
  );

describe('autoscaling of a service', () => {
  const memory = { Limits: { MemoryBytes: 1e8 } };
  const good = [
    { name: 'by processor time needs nothing else', given: spec('max=3,cpu=60%') },
    {
      name: 'by memory needs a limit or a reservation',
      given: spec('max=3,memory=60%', { TaskTemplate: { Resources: memory } }),
    },
    {
      name: 'by a query may be of tasks on the host’s network',
      given: spec('max=3,prometheus=http://p,query=x,target=1', {
        TaskTemplate: { Networks: [{ Target: 'host' }] },
      }),
    },
  ];
  for (const { name, given } of good) it(name, () => validateAutoscale(given));

  const bad = [
    {
      name: 'what is no setting',
      given: spec('max=3'),
      expect: /^autoscale: nothing is measured: give cpu=60%/,
    },
    {
      name: 'a job',
      given: spec('max=3,cpu=60%', { Mode: { ReplicatedJob: {} } }),
      expect: /^autoscale: only a replicated service has a number of replicas/,
    },
    {
      name: 'a global service',
      given: spec('max=3,cpu=60%', { Mode: { Global: {} } }),
      expect: /^autoscale: only a replicated service/,
    },
    {
      name: 'memory of which nothing is set apart',
      given: spec('max=3,memory=60%'),
      expect: /^autoscale: memory is measured against what is reserved, or else the limit/,
    },
    {
      name: 'connections on the host’s network',
      given: spec('max=3,connections=6', { TaskTemplate: { Networks: [{ Target: 'host' }] } }),
      expect: /^autoscale: connections cannot be told apart on the network host/,
    },
    {
      name: 'requests on the host’s network',
      given: spec('max=3,requests=6,metrics=80', {
        TaskTemplate: { Networks: [{ Target: 'host' }] },
      }),
      expect: /^autoscale: requests cannot be told apart on the network host/,
    },
    {
      name: 'a label that looks as if it set something',
      given: serviceSpec.decode({ Labels: { 'ts-swarm.autoscale.max': '3' } }, ''),
      expect: /^the label ts-swarm.autoscale.max sets nothing/,
    },
  ];
  for (const { name, given, expect } of bad) {
    it(`is refused for ${name}`, () => {
      assert.throws(() => validateAutoscale(given), { code: 'invalid-argument', message: expect });
    });
  }
});
