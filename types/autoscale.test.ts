import { strict as assert } from 'node:assert';
import { autoscaleLabel, autoscaleOf, readAutoscale, withScale } from './autoscale.ts';
import type { ServiceSpec } from './specs.ts';

const windowMs = 300_000;

describe('the label of autoscaling', () => {
  const good: { text: string; expect: object }[] = [
    {
      text: 'min=2,max=10,cpu=60%',
      expect: { min: 2, max: 10, windowMs, targets: [{ metric: 'cpu', target: 0.6 }] },
    },
    {
      text: ' max=3 , connections=50, connection-rate=0.5,window=1m30s',
      expect: {
        min: 1,
        max: 3,
        windowMs: 90_000,
        targets: [
          { metric: 'connections', target: 50 },
          { metric: 'connection-rate', target: 0.5 },
        ],
      },
    },
    {
      text: 'max=9,requests=50/s,metrics=8080',
      expect: {
        min: 1,
        max: 9,
        windowMs,
        targets: [
          {
            metric: 'requests',
            target: 50,
            port: 8080,
            path: '/metrics',
            counter: 'http_requests_total',
          },
        ],
      },
    },
    {
      text: 'max=9,cpu=60%,counter=served,requests=0.5,metrics=9/stats?all=1',
      expect: {
        min: 1,
        max: 9,
        windowMs,
        targets: [
          { metric: 'cpu', target: 0.6 },
          { metric: 'requests', target: 0.5, port: 9, path: '/stats?all=1', counter: 'served' },
        ],
      },
    },
    {
      text: 'min=0,max=4,prometheus=http://10.0.0.9:9090,query=sum by (a, b) (rate(x{l=~"a,)"}[1m])),target=2.5',
      expect: {
        min: 0,
        max: 4,
        windowMs,
        targets: [
          {
            metric: 'prometheus',
            url: 'http://10.0.0.9:9090',
            query: 'sum by (a, b) (rate(x{l=~"a,)"}[1m]))',
            target: 2.5,
          },
        ],
      },
    },
  ];
  for (const { text, expect } of good) {
    it(`reads ${text}`, () => assert.deepEqual(readAutoscale(text), expect));
  }

  const bad: { text: string; expect: RegExp }[] = [
    { text: '', expect: /^"" is none of min=, max=/ },
    { text: 'max=3', expect: /^nothing is measured: give cpu=60%/ },
    { text: 'cpu=60%', expect: /^max= is missing/ },
    { text: 'max=3,cpu=60', expect: /^cpu=60 is no target, such as cpu=60%/ },
    { text: 'max=3,cpu=0%', expect: /^cpu=0% is no target/ },
    { text: 'max=3,connections=50%', expect: /^connections=50% is no target, such as connect/ },
    { text: 'min=4,max=3,cpu=60%', expect: /^min=4 is more than max=3/ },
    { text: 'max=1.5,cpu=60%', expect: /^min and max are whole numbers/ },
    { text: 'max=0,cpu=60%', expect: /^min and max are whole numbers/ },
    { text: 'min=0,max=3,cpu=60%', expect: /^min=0 needs a Prometheus query alone/ },
    { text: 'max=3,cpu=1%,cpu=2%', expect: /^cpu is given more than once/ },
    { text: 'max=3,cpu=60%,window=5', expect: /^window=5 is no time from 1s to 1h/ },
    { text: 'max=3,cpu=60%,window=2h', expect: /^window=2h is no time/ },
    { text: 'max=3,requests=100', expect: /^requests= needs metrics=PORT\/PATH, where each/ },
    { text: 'max=3,requests=100/m,metrics=80', expect: /^requests=100\/m is no target, such as/ },
    { text: 'max=3,requests=0,metrics=80', expect: /^requests=0 is no target/ },
    { text: 'max=3,requests=1,metrics=70000/m', expect: /^metrics=70000\/m is no port and path/ },
    { text: 'max=3,requests=1,metrics=80/a b', expect: /^metrics=80\/a b is no port and path/ },
    { text: 'max=3,requests=1,metrics=80/a\r\nb', expect: /is no port and path/ },
    { text: 'max=3,requests=1,metrics=:80', expect: /^metrics=:80 is no port and path/ },
    { text: 'max=3,requests=1,metrics=80,counter=a-b', expect: /^counter=a-b is no name of a/ },
    { text: 'max=3,cpu=6%,metrics=80', expect: /^metrics= and counter= say where requests are/ },
    { text: 'min=0,max=3,requests=1,metrics=80', expect: /^min=0 needs a Prometheus query/ },
    { text: 'max=3,prometheus=http://h:1,target=3', expect: /^a query needs prometheus=URL/ },
    { text: 'max=3,prometheus=http://u:p@h,query=x,target=3', expect: /is no address such as/ },
    { text: 'max=3,prometheus=file:///x,query=x,target=3', expect: /is no address such as/ },
    { text: `max=3,cpu=1%,${' '.repeat(5000)}`, expect: /^the text is longer than/ },
  ];
  for (const { text, expect } of bad) {
    it(`refuses ${text.slice(0, 60)}`, () => {
      const read = readAutoscale(text);
      assert.ok(typeof read === 'string');
      assert.match(read, expect);
      assert.equal(autoscaleOf({ labels: { [autoscaleLabel]: text } }), undefined);
    });
  }
});

describe('a spec that follows another', () => {
  const spec = (replicas: number, label?: string): ServiceSpec => ({
    name: 'web',
    labels: label === undefined ? {} : { [autoscaleLabel]: label },
    task: { forceUpdate: 0 },
    mode: { replicated: { replicas } },
  });
  const label = 'min=2,max=6,cpu=60%';
  const cases: {
    name: string;
    present?: ServiceSpec;
    next: ServiceSpec;
    expect: number | undefined;
  }[] = [
    { name: 'a new service begins within its bounds', next: spec(1, label), expect: 2 },
    { name: 'a new service begins where it is told to', next: spec(4, label), expect: 4 },
    {
      name: 'the same file again changes nothing',
      present: spec(5, label),
      next: spec(2, label),
      expect: 5,
    },
    {
      name: 'other bounds are kept at once',
      present: spec(5, label),
      next: spec(2, 'max=3,cpu=60%'),
      expect: 3,
    },
    {
      name: 'the number before is no matter where it was a person’s',
      present: spec(5),
      next: spec(3, label),
      expect: 3,
    },
    {
      name: 'a service that is scaled no longer has what its spec says',
      present: spec(5, label),
      next: spec(2),
      expect: 2,
    },
  ];
  for (const { name, present, next, expect } of cases) {
    it(name, () => assert.equal(withScale(present, next).mode.replicated?.replicas, expect));
  }
});
