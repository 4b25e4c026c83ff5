/** Options of services, given by each docker CLI and seen in the containers that run. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { strict as assert } from 'node:assert';
import { until } from '../lab/index.ts';
import { dockers, oldDocker, type Cli } from './clients.ts';
import { shows } from './covered.ts';
import { createOptions } from './create-options.ts';
import type { Field } from './field.ts';
import type { Json, OptionCase, Sight } from './sight.ts';
import { furtherUpdates, updatedScalars, updateOptions } from './update-options.ts';

/** A folder of the machine, which every host sees. */
const folder = '/tmp/ts-swarm-compat';
const created = createOptions(folder);
const name = 'probe';

export function optionCases(get: () => Field): void {
  for (const cli of dockers) {
    describe(`options of services, by ${cli.name}`, () => {
      before(() => {
        mkdirSync(folder, { recursive: true });
        writeFileSync(join(folder, 'env'), '# a comment\nFROM_FILE=yes\n');
      });
      after(async () => {
        await get().clear();
        rmSync(folder, { recursive: true, force: true });
      });
      const sights = () => lookAfter(get(), cli);
      const rounds: readonly [string, readonly OptionCase[], (args: string[]) => Promise<Sight>][] =
        [
          [
            'service create',
            created,
            async (args) => {
              const rest = [get().image('probe:1'), 'one', 'two'];
              await cli.run(
                get().manager,
                'service',
                'create',
                '-d',
                '--name',
                name,
                ...args,
                ...rest,
              );
              return sights();
            },
          ],
          ['service update', updateOptions, (args) => update(get(), cli, args)],
          ['service update', updatedScalars, (args) => update(get(), cli, args)],
          ['service update', furtherUpdates, (args) => update(get(), cli, args)],
        ];
      for (const [verb, options, make] of rounds) roundOf(cli, verb, options, make);
    });
  }
  for (const [verb, options] of [
    ['service create', created],
    ['service update', [...updateOptions, ...updatedScalars, ...furtherUpdates]],
  ] as const) {
    for (const { flag } of options) shows(`${verb} ${flag}`, verb, flag);
  }
}

function roundOf(
  cli: Cli,
  verb: string,
  options: readonly OptionCase[],
  make: (args: string[]) => Promise<Sight>,
): void {
  describe(verb, () => {
    const known = options.filter(({ isNew }) => isNew !== true || cli !== oldDocker);
    let sight: Sight | undefined;
    before(async () => {
      sight = await make(known.flatMap(({ args }) => args));
    });
    for (const { flag, seen } of known) {
      it(`${verb} ${flag}`, () => {
        assert.ok(sight !== undefined);
        seen(sight);
      });
    }
  });
}

async function update(field: Field, cli: Cli, args: readonly string[]): Promise<Sight> {
  const [before] = await field.runs(name, 1);
  await cli.run(field.manager, 'service', 'update', '-d', ...args, name);
  await until('the update makes another task', async () => {
    const tasks = await field.tasks(name);
    return tasks.some(
      ({ ID, DesiredState: desired }) => ID !== before?.ID && desired === 'running',
    );
  });
  return lookAfter(field, cli);
}

/** What is to be seen once the service's only wanted task runs and has told all. */
async function lookAfter(field: Field, cli: Cli): Promise<Sight> {
  const [task] = await field.runs(name, 1);
  assert.ok(task !== undefined);
  const output = await until(
    'the container has told all',
    () => cli.run(field.manager, 'service', 'logs', '--raw', task.ID),
    { accept: (text) => text.includes('ready'), timeoutMs: 60_000 },
  );
  const all = await field.output(cli, name);
  const signals = all.split(/\r?\n/).filter((line) => line.startsWith('signal: '));
  const inspected = await cli.run(field.manager, 'service', 'inspect', name);
  const { pid, host } = field.process(task.ID);
  return {
    output: [output, ...signals].join('\n'),
    service: (JSON.parse(inspected) as Json[])[0],
    pid,
    host: host.name,
    taskId: task.ID,
  };
}
