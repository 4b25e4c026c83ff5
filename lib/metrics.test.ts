import { strict as assert } from 'node:assert';
import { Metrics } from './metrics.ts';

describe('metrics', () => {
  it('are shown in the order in which they were made, as Prometheus reads them', () => {
    const metrics = new Metrics();
    const repairs = metrics.counter<'kind'>('repairs_total', 'What was put right.');
    let up = 2;
    metrics.gauge<'state'>('nodes', 'Nodes by state.', () => [
      { labels: { state: 'up' }, value: up },
      { labels: { state: 'down' }, value: 0 },
    ]);
    repairs.add(1, { kind: 'link' });
    repairs.add(2, { kind: 'link' });
    repairs.add(1, { kind: 'a "b"\\\n' });
    up = 3;
    assert.equal(
      metrics.text(),
      `# HELP repairs_total What was put right.
# TYPE repairs_total counter
repairs_total{kind="link"} 3
repairs_total{kind="a \\"b\\"\\\\\\n"} 1
# HELP nodes Nodes by state.
# TYPE nodes gauge
nodes{state="up"} 3
nodes{state="down"} 0
`,
    );
  });

  it('have no labels where none are needed', () => {
    const metrics = new Metrics();
    metrics.counter('events_total', 'Events.').add(1.5, {});
    metrics.gauge('load', 'Load.', () => [{ labels: {}, value: Infinity }]);
    assert.match(metrics.text(), /\nevents_total 1\.5\n[^]*\nload \+Inf\n$/);
  });

  it('are not shown before there is anything to show', () => {
    const metrics = new Metrics();
    metrics.counter('events_total', 'Events.');
    metrics.histogram('pass_seconds', 'Passes.');
    metrics.gauge('raft_term', 'Term.', () => []);
    assert.equal(metrics.text(), '');
  });

  it('count what was seen up to each bound', () => {
    const metrics = new Metrics();
    const passes = metrics.histogram<'step'>('pass_seconds', 'Passes.', [0.1, 1]);
    for (const seconds of [0.05, 0.1, 0.5, 4]) passes.observe(seconds, { step: 'plan' });
    assert.equal(
      metrics.text(),
      `# HELP pass_seconds Passes.
# TYPE pass_seconds histogram
pass_seconds_bucket{step="plan",le="0.1"} 2
pass_seconds_bucket{step="plan",le="1"} 3
pass_seconds_bucket{step="plan",le="+Inf"} 4
pass_seconds_sum{step="plan"} 4.65
pass_seconds_count{step="plan"} 4
`,
    );
  });

  it('are mistakes where a name is taken or none, or labels take ever more values', () => {
    const metrics = new Metrics();
    const events = metrics.counter<'id'>('events_total', 'Events.');
    assert.throws(() => metrics.counter('events_total', 'Again.'), /already/);
    assert.throws(() => metrics.counter('Events-total', 'No name.'), /no name/);
    assert.throws(() => events.add(-1, { id: '' }), /goes up only/);
    assert.throws(() => {
      for (let id = 0; id < 1_001; id++) events.add(1, { id: String(id) });
    }, /no more than a few values/);
  });
});
