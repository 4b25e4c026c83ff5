/** Jobs, by docker's own CLIs, old and new; and a cron service as far as these can make one. */
import { strict as assert } from 'node:assert';
import { until } from '../lab/index.ts';
import { all, type Test } from './service-cases.ts';
import type { Cli } from './clients.ts';
import type { Field } from './field.ts';

const once = ['busybox:1', 'true'] as const;

export function jobs(test: Test): void {
  test(
    'service create --mode replicated-job waits until all has completed',
    {
      'service create': ['--mode', '--max-concurrent'],
      'service update': ['--force'],
      'service scale': all(),
    },
    async (field, cli) => {
      const shown = await make(field, cli, 'sums', '--replicas', '3', '--max-concurrent', '2');
      assert.match(shown, /\njob complete\n$/);
      assert.equal(await listed(field, cli, 'sums'), 'replicated job 0/2 (3/3 completed)');
      const run = (...args: string[]) => cli.run(field.manager, 'service', ...args);
      const mode = await run('inspect', '-f', '{{json .Spec.Mode}}', 'sums');
      assert.equal(mode, '{"ReplicatedJob":{"MaxConcurrent":2,"TotalCompletions":3}}\n');
      const iteration = ['inspect', '-f', '{{.JobStatus.JobIteration.Index}}', 'sums'];
      assert.equal(await run(...iteration), '0\n');
      assert.match(await run('update', '--force', 'sums'), /\njob complete\n$/);
      assert.equal(await run(...iteration), '1\n');
      assert.match(await run('scale', 'sums=4'), /\njob complete\n$/);
      assert.equal(await run(...iteration), '2\n');
      const states = ['ps', '--format', '{{.DesiredState}} {{.CurrentState}}', 'sums'];
      const rows = (await run(...states)).trimEnd().split('\n');
      assert.ok(
        rows.every((row) => row.startsWith('Complete Complete ')),
        rows.join(),
      );
    },
  );

  test(
    'service create --mode global-job runs once on every node',
    { 'service create': ['--mode'] },
    async (field, cli) => {
      const shown = await make(field, cli, 'sweep', '--mode', 'global-job');
      assert.match(shown, /\njob complete\n$/);
      await until('every node has done it', () => listed(field, cli, 'sweep'), {
        accept: (row) => row === 'global job 0/0 (3/3 completed)',
        timeoutMs: 60_000,
      });
      const tasks = await field.tasks('sweep');
      assert.equal(new Set(tasks.map(({ NodeID }) => NodeID)).size, 3);
    },
  );

  test(
    'service create with labels of a schedule makes a cron service',
    { 'service create': ['--label'], 'service update': ['--label-add', '--label-rm'] },
    async (field, cli) => {
      const label = 'ts-swarm.cron.schedule';
      await make(field, cli, 'tick', '-d', '--label', `${label}=* * * * * *`);
      const run = (...args: string[]) => cli.run(field.manager, 'service', ...args);
      await until('a run has completed', () => listed(field, cli, 'tick'), {
        accept: (row) => row === 'replicated job 0/1 (1/1 completed)',
        timeoutMs: 30_000,
      });
      await run('update', '-d', '--label-add', `${label}=@yearly`, 'tick');
      const format = ['inspect', '-f', `{{index .Spec.Labels "${label}"}}`, 'tick'];
      assert.equal(await run(...format), '@yearly\n');
      const wrong = run('update', '-d', '--label-add', `${label}=never`, 'tick');
      await assert.rejects(wrong, /"never" is no schedule/);
    },
  );
}

/** A service of tasks that end at once, as a replicated job unless told otherwise. */
function make(field: Field, cli: Cli, name: string, ...flags: string[]): Promise<string> {
  const mode = flags.includes('--mode') ? [] : ['--mode', 'replicated-job'];
  const [image, ...command] = once;
  const args = ['--name', name, ...mode, ...flags, field.image(image), ...command];
  return cli.run(field.manager, 'service', 'create', ...args);
}

async function listed(field: Field, cli: Cli, name: string): Promise<string | undefined> {
  const format = ['--format', '{{.Mode}} {{.Replicas}}', '--filter', `name=${name}`];
  return (await cli.lines(field.manager, 'service', 'ls', ...format))[0];
}
