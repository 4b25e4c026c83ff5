/** The verbs of `docker stack`, by docker's own CLIs, and by ours on what they have made. */
import { strict as assert } from 'node:assert';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from '../lab/index.ts';
import { dockers, newDocker, ownCli, type Cli } from './clients.ts';
import { refuses, shows } from './covered.ts';
import type { Field } from './field.ts';

const deployed = 'stack deploy makes all that the file says, and a second one restarts nothing';
const looked = 'stack ls, services and ps show what is there';
const changed = 'stack deploy changes what has changed, and prunes';
const removed = 'stack rm leaves nothing of it';
const printed = 'stack config prints the files as one';
/** Of docker's, only the new CLI has these. */
const waited = 'stack deploy and rm wait, or do not';

export function stackCases(get: () => Field): void {
  note();
  for (const cli of dockers) {
    describe(`stacks, by ${cli.name}`, () => {
      let folder: string;
      before(() => (folder = mkdtempSync(join(tmpdir(), 'compat-stack-'))));
      after(async () => {
        rmSync(folder, { recursive: true });
        // Nothing is left where all went well; after a failure, the next tests need the names.
        await ownCli.result(get().manager, ['stack', 'rm', 'shop']);
        await get().clear();
      });
      const work = new Work(get, cli, () => join(folder, 'compose.yaml'));
      it(deployed, () => work.deployed());
      it(looked, () => work.looked());
      it(changed, () => work.changed());
      it(removed, () => work.removed());
      if (cli === newDocker) {
        it(waited, () => work.waited());
        it(printed, () => work.printed());
      }
    });
  }
}

function note(): void {
  const deploy = ['', '--compose-file', '--resolve-image', '--with-registry-auth'];
  shows(deployed, 'stack deploy', ...deploy);
  shows(changed, 'stack deploy', '--prune');
  shows(waited, 'stack deploy', '--detach', '--quiet');
  shows(waited, 'stack rm', '--detach');
  shows(looked, 'stack ls', '', '--format');
  shows(looked, 'stack services', '', '--filter', '--format', '--quiet');
  const lists = ['--filter', '--format', '--no-resolve', '--no-trunc', '--quiet'];
  shows(looked, 'stack ps', '', ...lists);
  shows(removed, 'stack rm', '');
  shows(printed, 'stack config', '', '--compose-file', '--skip-interpolation');
  for (const verb of ['config', 'deploy', 'ls', 'ps', 'rm', 'services']) {
    refuses(
      `stack ${verb}`,
      '--orchestrator',
      'a matter of the client alone, which knows Kubernetes',
    );
  }
}

class Work {
  readonly #get: () => Field;
  readonly #cli: Cli;
  readonly #file: () => string;

  constructor(get: () => Field, cli: Cli, file: () => string) {
    this.#get = get;
    this.#cli = cli;
    this.#file = file;
  }

  async deployed(): Promise<void> {
    this.#write({});
    const out = await this.#deploy('--with-registry-auth');
    for (const made of [
      'network shop_back',
      'secret shop_pw',
      'config shop_conf',
      'service shop_a',
    ]) {
      assert.match(out, new RegExp(`^Creating ${made}$`, 'm'));
    }
    const before = await this.#ids('a', 2);
    const [task] = await this.#field.runs('shop_b', 1);
    await this.#deploy('--resolve-image', 'changed');
    await this.#deploy('--resolve-image', 'always');
    assert.deepEqual(await this.#ids('a', 2), before);
    assert.deepEqual((await this.#field.runs('shop_b', 1))[0]?.ID, task?.ID);
    const plan = ['stack', 'plan', '-c', this.#file(), 'shop'];
    const { code, stdout: planned } = await ownCli.result(this.#field.manager, plan);
    assert.equal(code, 2, 'something would change');
    // A secret and a config of this CLI have names without a hash of their content.
    assert.doesNotMatch(planned, /^\+ network|Image|Env|Resources/m);
  }

  async looked(): Promise<void> {
    assert.match(await this.#run('ls'), /^NAME +SERVICES( +ORCHESTRATOR)?\nshop +2( +Swarm)?\n$/);
    assert.equal(await this.#run('ls', '--format', '{{.Name}}={{.Services}}'), 'shop=2\n');
    await until('all tasks are counted', () => this.#services('{{.Name}} {{.Replicas}}'), {
      accept: (rows) => rows === 'shop_a 2/2\nshop_b 1/1\n',
      timeoutMs: 60_000,
    });
    assert.match(await this.#run('services', 'shop'), /^ID +NAME +MODE +REPLICAS +IMAGE +PORTS\n/);
    const filter = ['--filter', 'name=shop_b'];
    assert.match(await this.#run('services', '-q', ...filter, 'shop'), /^\w{12}\n$/);
    const ps = (...args: string[]) => this.#run('ps', ...args, 'shop');
    const names = ['--format', '{{.Name}} {{.DesiredState}}'];
    assert.deepEqual((await ps(...names)).trim().split('\n').toSorted(), [
      'shop_a.1 Running',
      'shop_a.2 Running',
      'shop_b.1 Running',
    ]);
    assert.match(await ps('-q', '--no-trunc', '--filter', 'name=shop_b'), /^\w{25}\n$/);
    assert.match(await ps('--no-resolve', '--format', '{{.Node}}'), /^(\w{25}\n){3}$/);
    const ours = await ownCli.run(this.#field.manager, 'stack', 'ps', ...names, 'shop');
    assert.equal(ours, await ps(...names));
  }

  async changed(): Promise<void> {
    const before = await this.#ids('a', 2);
    this.#write({ greeting: 'hello', withB: false });
    const out = await this.#deploy('--prune');
    assert.match(out, /^Removing service shop_b$/m);
    assert.match(out, /^Updating service shop_a \(id: \w{25}\)$/m);
    await until('both are of the new spec', () => this.#ids('a', 2), {
      accept: (ids) => ids.every((id) => !before.includes(id)),
      timeoutMs: 60_000,
    });
    assert.equal(await this.#services('{{.Name}}'), 'shop_a\n');
  }

  async removed(): Promise<void> {
    const out = await this.#run('rm', 'shop');
    for (const gone of [
      'service shop_a',
      'secret shop_pw',
      'config shop_conf',
      'network shop_back',
    ]) {
      assert.match(out, new RegExp(`^Removing ${gone}$`, 'm'));
    }
    await this.#noTaskIsLeft();
    for (const kind of ['secret', 'config']) {
      assert.equal(await this.#cli.run(this.#field.manager, kind, 'ls', '-q'), '');
    }
    const networks = ['network', 'ls', '--filter', 'label=com.docker.stack.namespace', '-q'];
    assert.equal(await this.#cli.run(this.#field.manager, ...networks), '');
  }

  async waited(): Promise<void> {
    this.#write({ withB: false });
    await this.#deploy('--detach=false', '--quiet');
    await this.#ids('a', 2);
    await this.#run('rm', '--detach=false', 'shop');
    await this.#noTaskIsLeft();
  }

  async printed(): Promise<void> {
    this.#write({ greeting: '${WORD:-hi}' });
    const config = ['config', '-c', this.#file()];
    assert.match(await this.#run(...config), /GREETING: hi\n/);
    assert.match(await this.#run(...config, '--skip-interpolation'), /GREETING: \$\{WORD:-hi\}\n/);
    const ours = (...args: string[]) =>
      ownCli.run(this.#field.manager, 'stack', ...config, ...args);
    assert.match(await ours(), /GREETING: hi\n/);
    assert.match(await ours('--skip-interpolation'), /GREETING: \$\{WORD:-hi\}\n/);
  }

  get #field(): Field {
    return this.#get();
  }

  async #noTaskIsLeft(): Promise<void> {
    await until('no task is left', () => this.#field.tasksLeft(), {
      accept: (count) => count === 0,
      timeoutMs: 60_000,
    });
  }

  #run(...args: readonly string[]): Promise<string> {
    return this.#cli.run(this.#field.manager, 'stack', ...args);
  }

  #deploy(...args: readonly string[]): Promise<string> {
    return this.#run('deploy', '-c', this.#file(), ...args, 'shop');
  }

  #services(format: string): Promise<string> {
    return this.#run('services', '--format', format, 'shop');
  }

  async #ids(service: string, count: number): Promise<readonly string[]> {
    const tasks = await this.#field.runs(`shop_${service}`, count);
    return tasks.map(({ ID }) => ID).toSorted();
  }

  #write({ greeting = 'none', withB = true }): void {
    const folder = join(this.#file(), '..');
    writeFileSync(join(folder, 'pw'), 'geheim');
    writeFileSync(join(folder, 'conf'), 'a=1');
    const quick = 'update_config: {monitor: 200ms, parallelism: 0}';
    const b = `
  b:
    image: ${this.#field.image('sleeper:1')}
    networks: [back]
    deploy: {${quick}}`;
    writeFileSync(
      this.#file(),
      `version: "3.8"
services:
  a:
    image: ${this.#field.image('sleeper:1')}
    environment:
      GREETING: ${greeting}
    networks: {back: {aliases: [www]}}
    secrets: [pw]
    configs: [{source: conf, target: /etc/conf}]
    deploy: {replicas: 2, ${quick}}${withB ? b : ''}
networks:
  back: {attachable: true}
secrets:
  pw: {file: ./pw}
configs:
  conf: {file: ./conf}
`,
    );
  }
}
