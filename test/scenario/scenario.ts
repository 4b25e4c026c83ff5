/**
 * Scenarios as text: paragraphs of commands, a line of dashes, and what they print. A scenario runs
 * on a SimCluster; the result is the same text with what was really printed.
 *
 *     nodes a b [label=value…]        nodes join
 *     image NAME exit=1 after=2s …    what containers of an image do (see `image` below)
 *     create NAME key=value …         see spec.ts for the keys
 *     update NAME key=value …         rollback NAME         scale NAME=3        rm NAME
 *     drain|activate|pause|cut|kill|restore|remove NODE     label NODE key=value
 *     network NAME [SUBNET]           network-ingress NAME [SUBNET]         network-rm NAME
 *     crash NAME.SLOT                 the container of a slot's task dies
 *     history N                       the limit of old tasks
 *     run 5s [quiet]                  time passes; prints what happens
 *     leaderless 5s                   time passes, and no manager plans anything
 *     ps NAME                         the service's tasks, as the store has them
 *     service NAME                    update status, published ports, virtual addresses
 *     addresses NETWORK               who holds one, and how many do
 *     explain NAME|NAME.SLOT          why a service or the newest task of a slot is as it is
 *     plan create|update NAME key=value …    plan scale NAME=3 …    plan rm NAME …
 *     rebalance NAME                  spread the service's tasks anew; also: plan rebalance NAME
 *     policy on-join|off              whether that is done without being asked for
 *     plan rollback NAME              what it would do; it is not done
 *     past [NAME] [at=5s]             what changed; how things stood at that time of the scenario
 *     load NAME CORES|unknown [most=1]    what an autoscaled service has to do, and a replica can
 *     requests NAME RATE|broken [most=9]  the same in requests a second, which its replicas count
 *     nodes-of NAME                   how many of its wanted tasks each node has
 *     devices NAME                    which of its node's devices each wanted task has been given
 *     secret|config NAME TEXT         a new one
 *     revise-secret|revise-config NAME TEXT    rm-secret|rm-config NAME
 *     files                           revisions of secrets and configs, and who uses them
 *     resources NODE cpus=2 memory=512 gpus=g0    what the node says that it has from now on
 *     promote|demote NODE             slow NODE FACTOR
 *     volume NAME SCOPE SHARING       volume-rm NAME       array RATE      what of its driver fails
 *     allow privileged|devices|none   what services may ask for
 *     weather loss=0.1 double=0.1 late=2s    of messages between workers and managers
 *     leader [SKEW]                   another manager leads, from a snapshot; its clock is off
 */
import { serviceStatus } from '../../api/convert/service.ts';
import { SwarmError } from '../../lib/errors.ts';
import { tellHistory } from '../../manager/history/index.ts';
import { explain } from '../../manager/explain/index.ts';
import type { ObjectEvent } from '../../manager/store/index.ts';
import {
  fileKinds,
  isTerminal,
  isWanted,
  rebalanceLabel,
  scaledText,
  type PreviewChange,
  type Service,
  type Task,
} from '../../types/index.ts';
import {
  allowLabels,
  behaviour,
  load,
  nodeOptions,
  placesOf,
  timeOf,
  weather,
} from './scenario-words.ts';
import { SimCluster } from './sim-cluster.ts';
import { volumeSpec } from './sim-storage.ts';
import { duration, edited, newSpec, wrong } from './spec.ts';

/** Runs a scenario and returns it with the output that it had this time. */
export async function runScenario(text: string): Promise<string> {
  const scenario = new Scenario();
  await scenario.start();
  const paragraphs = text.trim().split(/\n{2,}/);
  const out: string[] = [];
  for (const paragraph of paragraphs) {
    const commands = (paragraph.split(/^----$/m)[0] ?? '').trimEnd();
    const printed: string[] = [];
    for (const line of commands.split('\n')) {
      if (!line.startsWith('#') && line !== '') printed.push(...(await scenario.execute(line)));
    }
    const isComment = commands.split('\n').every((line) => line.startsWith('#'));
    out.push(isComment ? commands : [commands, '----', ...printed].join('\n'));
  }
  await scenario.stop();
  return `${out.join('\n\n')}\n`;
}

type Command = (words: string[]) => string[] | void | Promise<string[]>;

export class Scenario {
  readonly #cluster: SimCluster;
  readonly #aliases = new Map<string, string>();
  readonly #counts = new Map<string, number>();
  readonly #startMs: number;
  #printed: string[] = [];

  constructor(cluster: SimCluster = new SimCluster()) {
    this.#cluster = cluster;
    this.#startMs = cluster.clock.nowMs();
    cluster.onRefusal = ({ message }) => this.#say(`refused: ${this.#named(message)}`);
  }

  async start(): Promise<void> {
    await this.#cluster.start();
    this.#cluster.onChange(({ events }) => {
      for (const event of events) this.#tell(event);
    });
  }

  async stop(): Promise<void> {
    await this.#cluster[Symbol.asyncDispose]();
  }

  async execute(line: string): Promise<string[]> {
    const [name = '', ...words] = line.trim().split(/\s+/);
    const command = this.#commands[name];
    if (command === undefined) throw wrong(`"${name}" is no command`);
    const printed = await command(words);
    if (name !== 'run') this.#cluster.store.audit().forEach((sentence) => this.#say(sentence));
    return printed ?? [];
  }

  readonly #commands: Readonly<Record<string, Command>> = {
    nodes: (words) => {
      const { ids, options } = nodeOptions(words);
      for (const id of ids) this.#cluster.addNode(id, options);
    },
    image: ([name = '', ...words]) => {
      this.#cluster.behaviours.set(name, behaviour(words));
    },
    create: ([name = '', ...words]) => {
      const { store } = this.#cluster;
      this.#cluster.createService(newSpec(name, words, store));
    },
    update: ([name = '', ...words]) =>
      this.#cluster.updateService(name, (spec) => edited(spec, words, this.#cluster.store)),
    scale: ([word = '']) => {
      const [name = '', replicas = ''] = word.split('=');
      this.#cluster.updateService(name, (spec) => edited(spec, [`replicas=${replicas}`]));
    },
    rollback: ([name = '']) => this.#cluster.rollback(name),
    rm: ([name = '']) => this.#cluster.removeService(name),
    drain: ([id = '']) => this.#cluster.updateNode(id, { availability: 'drain' }),
    activate: ([id = '']) => this.#cluster.updateNode(id, { availability: 'active' }),
    pause: ([id = '']) => this.#cluster.updateNode(id, { availability: 'pause' }),
    label: ([id = '', word = '']) => {
      const [key = '', value = ''] = word.split('=');
      const { labels } = this.#cluster.node(id).spec;
      this.#cluster.updateNode(id, { labels: { ...labels, [key]: value } });
    },
    resources: ([id = '', ...words]) => {
      this.#cluster.setResources(id, nodeOptions(words).options);
    },
    cut: ([id = '']) => this.#cluster.cut(id),
    kill: ([id = '']) => this.#cluster.cut(id, { kill: true }),
    restore: ([id = '']) => this.#cluster.restore(id),
    remove: ([id = '']) => this.#cluster.removeNode(id),
    promote: ([id = '']) => this.#cluster.setRole(id, 'manager'),
    demote: ([id = '']) => this.#cluster.setRole(id, 'worker'),
    slow: ([id = '', factor = '1']) => {
      this.#cluster.worker(id).slowness = Number(factor);
    },
    weather: (words) => {
      this.#cluster.link.weather = weather(words);
    },
    leader: async ([skew = '0s']) => {
      await this.#cluster.changeLeader(duration(skew));
      return [];
    },
    secret: ([name = '', text = '']) => this.#cluster.createFile('secret', name, text),
    config: ([name = '', text = '']) => this.#cluster.createFile('config', name, text),
    'revise-secret': ([name = '', text = '']) => this.#cluster.reviseFile('secret', name, text),
    'revise-config': ([name = '', text = '']) => this.#cluster.reviseFile('config', name, text),
    'rm-secret': ([name = '']) => this.#cluster.removeFile('secret', name),
    'rm-config': ([name = '']) => this.#cluster.removeFile('config', name),
    files: () => this.#files(),
    volume: ([name = '', ...mode]) => this.#cluster.createVolume(volumeSpec(name, mode)),
    'volume-rm': ([name = '']) => this.#cluster.removeVolume(name),
    array: ([rate = '0']) => {
      this.#cluster.array.failing = Number(rate);
    },
    allow: ([word = '']) => this.#cluster.setLabels(allowLabels(word)),
    crash: ([name = '']) => this.#crash(name),
    network: ([name = '', subnet]) => this.#cluster.createNetwork(name, subnet),
    'network-ingress': ([name = '', subnet]) => this.#cluster.createNetwork(name, subnet, true),
    'network-rm': ([name = '']) => this.#cluster.removeNetwork(name),
    addresses: ([name = '']) => this.#addresses(name),
    history: ([limit = '']) => this.#cluster.setHistoryLimit(Number(limit)),
    run: async ([time = '', how]) => {
      this.#printed = [];
      await this.#cluster.run(duration(time));
      return how === 'quiet' ? [] : this.#printed;
    },
    leaderless: async ([time = '']) => {
      await this.#cluster.runLeaderless(duration(time));
      return [];
    },
    ps: ([name = '']) => this.#tasksOf(name).map((task) => this.#row(task)),
    service: ([name = '']) => this.#describe(name),
    explain: ([name = '']) => this.#explain(name),
    plan: (words) => this.#plan(words),
    load: ([name = '', ...words]) => this.#cluster.load(name, load('cores', words)),
    requests: ([name = '', ...words]) => this.#cluster.load(name, load('requests', words)),
    rebalance: ([name = '']) => this.#cluster.rebalance(name),
    policy: ([word = '']) => this.#cluster.setLabels({ [rebalanceLabel]: word }),
    past: (words) => this.#past(words),
    'nodes-of': ([name = '']) => {
      const tasks = this.#tasksOf(name).filter((task) => isWanted(task.desiredState));
      const counts = Map.groupBy(tasks, (task) => task.nodeId || '(none)');
      return [...counts]
        .sort(([a], [b]) => compare(a, b))
        .map(([node, there]) => `${node}: ${there.length}`);
    },
    devices: ([name = '']) => {
      const tasks = this.#tasksOf(name).filter((task) => isWanted(task.desiredState));
      return tasks.map((task) => `${this.#alias(task)}: ${devicesText(task)}`);
    },
  };

  #crash(name: string): void {
    const [serviceName = '', slot] = name.split('.');
    const task = this.#tasksOf(serviceName).find(
      ({ status, slot: number, nodeId }) =>
        status.state === 'running' && (String(number) === slot || nodeId === slot),
    );
    if (task === undefined) throw wrong(`nothing runs as ${name}`);
    this.#cluster.worker(task.nodeId).crash(task.id, 137);
  }

  #tasksOf(name: string): Task[] {
    const tasks = this.#cluster.tasks(name);
    const number = (task: Task) => Number(this.#alias(task).split('#')[1]);
    return tasks.sort(
      (a, b) =>
        a.slot - b.slot ||
        compare(a.nodeId || a.forNodeId, b.nodeId || b.forNodeId) ||
        number(a) - number(b),
    );
  }

  #row(task: Task): string {
    const { status, desiredState } = task;
    const where = task.nodeId === '' ? '-' : task.nodeId;
    const err = status.err === undefined ? '' : `: ${status.err}`;
    const image = task.spec.container?.image ?? '';
    return `${this.#alias(task)} ${image} ${where} ${desiredState} ${status.state}${err}`;
  }

  #describe(name: string): string[] {
    const service = this.#cluster.service(name);
    const { updateStatus, ports = [], virtualIps = [] } = service;
    const status =
      updateStatus === undefined
        ? []
        : [this.#named(`${updateStatus.state}: ${updateStatus.message}`)];
    const published = ports.map(
      (port) => `port ${port.publishedPort ?? 'open'} to ${port.targetPort} (${port.publishMode})`,
    );
    const virtual = virtualIps.map(({ networkId }) => {
      return `virtual address on ${this.#cluster.store.network(networkId)?.spec.name}`;
    });
    return [...status, ...this.#describeJob(service), ...published, ...virtual];
  }

  #describeJob(service: Service): string[] {
    const { jobStatus, cronStatus } = service;
    if (jobStatus === undefined) return [];
    const { running, completed } = serviceStatus(service, this.#cluster.tasks(service.spec.name));
    const lines = [`iteration ${jobStatus.iteration}: ${running} running, ${completed} complete`];
    const { lastTickMs, skipped } = cronStatus ?? {};
    if (lastTickMs !== undefined) lines.push(`last tick ${timeOf(lastTickMs)}`);
    if (skipped !== undefined) {
      lines.push(`tick ${timeOf(skipped.tickMs)} was passed over: ${skipped.reason}`);
    }
    return lines;
  }

  #explain(reference: string): string[] {
    const { store, clock } = this.#cluster;
    const { service, task } = explain(store, reference, { nowMs: clock.nowMs() });
    const told = task === undefined ? (service?.tasks ?? []) : [task];
    return [
      ...(service?.reasons ?? []).map((one) => `${one.about}: ${this.#named(one.text)}`),
      ...told.flatMap(({ id, reasons, nodes }) => [
        this.#named(id),
        ...reasons.map((one) => `  ${one.about}: ${this.#named(one.text)}`),
        ...nodes.map(({ hostname, refusals, serviceTasks, tasks }) => {
          const load = `fits, ${serviceTasks} of the service, ${tasks} in all`;
          return `  ${hostname} ${refusals.length === 0 ? load : refusals.join('; ')}`;
        }),
      ]),
    ];
  }

  #past(words: string[]): string[] {
    const { store, clock } = this.#cluster;
    const at = words.find((word) => word.startsWith('at='))?.slice('at='.length);
    const service = words.find((word) => !word.includes('='));
    const seconds = (time: string) => ((Date.parse(time) - this.#startMs) / 1000).toFixed(2);
    const question = {
      limit: 1000,
      ...(at === undefined ? {} : { atMs: this.#startMs + duration(at) }),
      ...(service === undefined ? {} : { service }),
    };
    const { records, moment } = tellHistory(store.history, store, question, clock.nowMs());
    return [
      ...(at === undefined ? records : []).map(
        ({ time, name, by, text }) => `${seconds(time)}s ${name} by ${by}: ${this.#named(text)}`,
      ),
      ...(moment?.services ?? []).flatMap(({ name, image, mode, running, tasks }) => [
        `${name}: ${mode} of ${image}, ${running} running`,
        ...tasks.map((task) => `  ${task.name} ${task.node || '-'} ${task.state}`),
      ]),
      ...(moment?.nodes ?? []).map((node) => `${node.hostname} ${node.state}`),
    ];
  }

  #plan([verb = '', ...words]: string[]): string[] {
    try {
      return this.#preview(this.#planned(verb, words));
    } catch (error) {
      const { code, message } = SwarmError.from(error);
      if (code === 'internal') throw error;
      return [`refused: ${message.replace(/ \([0-9a-z]{25}\)/, '')}`];
    }
  }

  #preview(changes: readonly PreviewChange[]): string[] {
    const { services, others } = this.#cluster.preview(changes);
    return [...services, ...others].flatMap(({ name, action, fields, tasks, ...rest }) => [
      `${name}: ${action}, ${rest.unchangedTasks} tasks unchanged`,
      ...fields.map(({ path, from = 'nothing', to = 'nothing' }) => `  ${path}: ${from} to ${to}`),
      ...tasks.map((task) => `  ${task.name} ${placesOf(task)}`),
      ...rest.notes.map((note) => `  ${this.#named(note)}`),
    ]);
  }

  #planned(verb: string, words: string[]): PreviewChange[] {
    const [name = '', ...keys] = words;
    const update = (service: string, edits: string[]): PreviewChange => {
      return {
        action: 'update',
        service,
        spec: edited(this.#cluster.service(service).spec, edits),
      };
    };
    if (verb === 'create') return [{ action: 'create', spec: newSpec(name, keys) }];
    if (verb === 'update') return [update(name, keys)];
    if (verb === 'rollback') return [{ action: 'update', service: name, rollback: true }];
    if (verb === 'rebalance') return words.map((service) => ({ action: 'rebalance', service }));
    if (verb === 'rm') return words.map((service) => ({ action: 'remove', service }));
    if (verb !== 'scale') throw wrong(`"plan ${verb}" is no command`);
    return words.map((word) => {
      const [service = '', replicas = ''] = word.split('=');
      return update(service, [`replicas=${replicas}`]);
    });
  }

  /** Which addresses they are is left to chance. */
  #addresses(networkName: string): string[] {
    const { store } = this.#cluster;
    const { id } = this.#cluster.network(networkName);
    const holders = [...store.usedAddresses(id).values()].map((holder) => {
      const task = store.task(holder);
      if (task !== undefined) return this.#alias(task);
      return store.service(holder)?.spec.name ?? `node ${holder}`;
    });
    return [`${holders.length} held`, ...holders.sort(compare)];
  }

  #files(): string[] {
    const { store } = this.#cluster;
    return fileKinds.flatMap((kind) =>
      [...store.files(kind)]
        .map(({ id, spec, revision }) => {
          const users = [...store.servicesOfFile(id)].map((service) => service.spec.name).sort();
          const used = users.length > 0 ? users.join(', ') : 'no service';
          return `${kind} ${spec.name} revision ${revision}: ${used}`;
        })
        .sort(compare),
    );
  }

  #say(text: string): void {
    const seconds = (this.#cluster.clock.nowMs() - this.#startMs) / 1000;
    this.#printed.push(`${seconds.toFixed(2)}s ${text}`);
  }

  #tell(event: ObjectEvent): void {
    if (event.table === 'service') {
      const { spec, updateStatus, autoscale } = event.object;
      const before = event.old?.updateStatus;
      if (updateStatus !== undefined && updateStatus.message !== before?.message) {
        this.#say(this.#named(`${spec.name}: ${updateStatus.message}`));
      }
      const was = event.old?.autoscale;
      if (autoscale?.scaled !== undefined && autoscale.scaled.atMs !== was?.scaled?.atMs) {
        this.#say(`${spec.name}: ${scaledText(autoscale.scaled)}`);
      }
      if (autoscale !== undefined && autoscale.state !== (was?.state ?? 'steady')) {
        this.#say(`${spec.name}: autoscaling is ${autoscale.state} ${autoscale.message}`.trim());
      }
      return;
    }
    if (event.table === 'node') {
      const { id, status } = event.object;
      if (event.action === 'update' && status.state !== event.old?.status.state) {
        this.#say(`node ${id} is ${status.state}`);
      }
      return;
    }
    if (event.table === 'task') this.#tellTask(event.action, event.object, event.old);
  }

  #tellTask(action: ObjectEvent['action'], task: Task, old: Task | undefined): void {
    const alias = this.#alias(task);
    if (action === 'remove') {
      this.#say(`${alias} forgotten`);
      return;
    }
    const { status, nodeId, desiredState } = task;
    const err = status.err === undefined ? '' : `: ${status.err}`;
    if (status.state === 'pending' && status.err !== old?.status.err) {
      this.#say(`${alias} waits${err}`);
    }
    if (nodeId !== '' && (old?.nodeId ?? '') === '') {
      this.#say(`${alias} on ${nodeId}${desiredState === 'ready' ? ', held' : ''}`);
    }
    if (old !== undefined && desiredState !== old.desiredState) {
      this.#say(
        `${alias} should ${old.desiredState === 'ready' ? 'go from ready to ' : ''}${desiredState}`,
      );
    }
    const told = status.state === 'running' || isTerminal(status.state);
    if (told && status.state !== old?.status.state) this.#say(`${alias} ${status.state}${err}`);
  }

  /** `web.1#2`: the second task of its slot. */
  #alias(task: Task): string {
    let alias = this.#aliases.get(task.id);
    if (alias === undefined) {
      const isGlobal = task.slot === 0 && task.jobIteration === undefined;
      const place = task.forNodeId ?? (isGlobal ? task.nodeId : String(task.slot));
      const slot = `${task.serviceName}.${place}`;
      const count = (this.#counts.get(slot) ?? 0) + 1;
      this.#counts.set(slot, count);
      alias = `${slot}#${count}`;
      this.#aliases.set(task.id, alias);
    }
    return alias;
  }

  #named(text: string): string {
    return text.replace(/\b[0-9a-z]{25}\b/g, (id) => this.#aliases.get(id) ?? id);
  }
}

function compare(a = '', b = ''): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

/** "gpu=g0,gpu=g1", or "gpu=2" where the devices have no names. */
function devicesText({ genericResources = [] }: Task): string {
  const given = genericResources.map(({ named, discrete }) => {
    const device = named ?? discrete;
    return `${device?.kind}=${device?.value}`;
  });
  return given.join() || 'none';
}
