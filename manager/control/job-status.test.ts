import { strict as assert } from 'node:assert';
import type { Service, ServiceSpec } from '../../types/index.ts';
import { makeService } from '../store/testing.ts';
import { firstStatuses, nextStatuses } from './job-status.ts';

const createdMs = 1000;
const changedMs = 5000;

function specOf(labels: Record<string, string>, forceUpdate = 0): ServiceSpec {
  const { spec } = makeService('work');
  const mode = { replicatedJob: { maxConcurrent: 1, totalCompletions: 1 } };
  return { ...spec, mode, labels, task: { ...spec.task, forceUpdate } };
}

const hourly = { 'ts-swarm.cron.schedule': '@hourly' };
const daily = { 'ts-swarm.cron.schedule': '@daily' };
const inBerlin = { ...hourly, 'ts-swarm.cron.time-zone': 'Europe/Berlin' };

function serviceOf(spec: ServiceSpec): Service {
  return { ...makeService('work'), spec, ...firstStatuses(spec, createdMs) };
}

describe('what becomes of iterations and schedules', () => {
  it('is nothing where tasks run on', () => {
    const { spec } = makeService('web');
    assert.deepEqual(firstStatuses(spec, createdMs), {});
    assert.deepEqual(nextStatuses(makeService('web'), spec, changedMs), {});
  });

  const cases: {
    name: string;
    from: ServiceSpec;
    to: ServiceSpec;
    iteration: number;
    cron?: Service['cronStatus'];
  }[] = [
    { name: 'a job is done again', from: specOf({}), to: specOf({}), iteration: 1 },
    {
      name: 'a schedule waits for its next tick',
      from: specOf(hourly),
      to: specOf({ ...hourly, tier: 'front' }),
      iteration: 0,
      cron: { settledMs: createdMs },
    },
    {
      name: 'another schedule owes nothing for the past',
      from: specOf(hourly),
      to: specOf(daily),
      iteration: 0,
      cron: { settledMs: changedMs },
    },
    {
      name: 'nor does another time zone',
      from: specOf(hourly),
      to: specOf(inBerlin),
      iteration: 0,
      cron: { settledMs: changedMs },
    },
    {
      name: 'a run is asked for by force',
      from: specOf(hourly),
      to: specOf(hourly, 1),
      iteration: 0,
      cron: { settledMs: createdMs, isRunAsked: true },
    },
    {
      name: 'a rollback of that asks for none',
      from: specOf(hourly, 1),
      to: specOf(hourly),
      iteration: 0,
      cron: { settledMs: createdMs },
    },
    {
      name: 'a job that gets a schedule waits for its first tick',
      from: specOf({}),
      to: specOf(hourly),
      iteration: 0,
      cron: { settledMs: changedMs },
    },
    {
      name: 'without its schedule it is a job again, and done',
      from: specOf(hourly),
      to: specOf({}),
      iteration: 1,
    },
  ];
  for (const { name, from, to, iteration, cron } of cases) {
    it(name, () => {
      const { jobStatus, cronStatus } = nextStatuses(serviceOf(from), to, changedMs);
      assert.equal(jobStatus?.iteration, iteration);
      assert.deepEqual(cronStatus, cron);
    });
  }
});
