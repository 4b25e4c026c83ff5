import { strict as assert } from 'node:assert';
import { makeNode } from '../store/testing.ts';
import { constraintsOf, parseConstraint, satisfies } from './constraint.ts';

const node = makeNode('n0de1', {
  role: 'worker',
  spec: { labels: { zone: 'East', empty: '' }, role: 'worker', availability: 'active' },
  status: { state: 'ready', message: '', addr: '10.1.2.3:2377', atMs: 0 },
  description: {
    hostname: 'Host-1',
    platform: { architecture: 'x86_64', os: 'linux' },
    resources: { nanoCpus: 1e9, memoryBytes: 1 },
    engine: { version: '1', labels: { disk: 'ssd' }, plugins: [] },
  },
});

describe('constraints', () => {
  const cases: { expression: string; expect: boolean }[] = [
    { expression: 'node.id==N0DE1', expect: true },
    { expression: 'node.id!=n0de1', expect: false },
    { expression: 'node.hostname == host-1', expect: true },
    { expression: 'node.role==worker', expect: true },
    { expression: 'node.role!=manager', expect: true },
    { expression: 'node.platform.os==Linux', expect: true },
    { expression: 'node.platform.arch==amd64', expect: true },
    { expression: 'node.platform.arch==x86_64', expect: true },
    { expression: 'node.platform.arch==arm64', expect: false },
    { expression: 'node.labels.zone==east', expect: true },
    { expression: 'node.labels.zone==eas', expect: false },
    { expression: 'node.labels.missing!=east', expect: true },
    { expression: 'node.labels.missing==east', expect: false },
    // What every object of the language has is no label.
    { expression: 'node.labels.constructor==east', expect: false },
    { expression: 'node.labels.constructor!=east', expect: true },
    { expression: 'engine.labels.__proto__!=east', expect: true },
    { expression: 'engine.labels.toString==east', expect: false },
    { expression: 'NODE.LABELS.zone==east', expect: true },
    { expression: 'engine.labels.disk==ssd', expect: true },
    { expression: 'engine.labels.disk!=ssd', expect: false },
    { expression: 'node.ip==10.1.2.3', expect: true },
    { expression: 'node.ip==10.1.0.0/16', expect: true },
    { expression: 'node.ip!=10.1.0.0/16', expect: false },
    { expression: 'node.ip==10.2.0.0/16', expect: false },
    { expression: 'node.ip!=garbage', expect: false },
    { expression: 'node.colour==red', expect: false },
    { expression: 'node.colour!=red', expect: false },
  ];
  for (const { expression, expect } of cases) {
    it(`${expression} is ${expect}`, () => {
      assert.equal(satisfies(node, parseConstraint(expression)), expect);
    });
  }

  it('compares IPv6 addresses and networks', () => {
    const six = makeNode('six', {
      status: { state: 'ready', message: '', addr: '[2001:db8::1]:2377', atMs: 0 },
    });
    const asked = (value: string) => satisfies(six, { key: 'node.ip', equal: true, value });
    assert.ok(asked('2001:db8:0:0::1'));
    assert.ok(asked('2001:db8::/32'));
    assert.ok(!asked('2001:db9::/32'));
    assert.ok(!asked('10.0.0.0/8'));
  });

  const bad: { expression: string; message: RegExp }[] = [
    { expression: 'node.role=manager', message: /expected one operator from ==, !=/ },
    { expression: 'node.role>manager', message: /expected one operator from ==, !=/ },
    { expression: 'node role==manager', message: /^key 'node role' is invalid$/ },
    { expression: '==manager', message: /^key '' is invalid$/ },
    { expression: 'node.role==', message: /^value '' is invalid$/ },
    { expression: 'node.role==a=b', message: /^value 'a=b' is invalid$/ },
  ];
  for (const { expression, message } of bad) {
    it(`refuses ${expression}`, () => {
      assert.throws(() => parseConstraint(expression), { code: 'invalid-argument', message });
    });
  }

  it('lets no node satisfy an expression in a stored spec that is no constraint', () => {
    const constraints = constraintsOf({ constraints: ['nonsense', 'node.labels.zone!='] });
    assert.equal(constraints.length, 2);
    for (const constraint of constraints) assert.equal(satisfies(node, constraint), false);
  });
});
