/** A user who changes services and nodes through whoever leads, and remembers the answers. */
import { SwarmError } from '../../../lib/errors.ts';
import type { Control } from '../../../manager/control/index.ts';
import type { Store } from '../../../manager/store/index.ts';
import {
  cronOf,
  isJobMode,
  type Node,
  type Service,
  type ServiceSpec,
} from '../../../types/index.ts';
import { edited, newSpec } from '../../scenario/spec.ts';
import { Violation } from '../violation.ts';
import type { Swarm } from './swarm.ts';

const images = ['good:1', 'good:2', 'good:3', 'slow', 'bad', 'flaky', 'gone'] as const;
const timing = ['delay=1s', 'update-delay=500ms', 'monitor=1s'];
const jobTiming = ['delay=1s'];
/** How services of each name are made; those whose name begins with "api" update start-first. */
const kinds: Readonly<Record<string, readonly string[]>> = {
  web: ['replicas=4', 'failure-action=pause', 'network=small'],
  api: ['replicas=3', 'order=start-first', 'failure-action=rollback'],
  log: ['mode=global', 'parallelism=2', 'failure-action=continue'],
  pub: ['replicas=2', 'publish=ingress::80', 'network=back', 'failure-action=continue'],
  hostport: ['replicas=2', 'publish=host:8080:80', 'failure-action=continue'],
  load: ['replicas=2', 'autoscale=min=1,max=6,cpu=50%,window=5s', 'failure-action=continue'],
  sums: ['mode=replicated-job', 'completions=4', 'max-concurrent=2', 'network=back'],
  sweep: ['mode=global-job', 'max-attempts=2'],
  tick: ['mode=replicated-job', 'schedule=*/5_*_*_*_*_*', 'overlap=forbid'],
  swap: ['mode=replicated-job', 'schedule=*/5_*_*_*_*_*', 'overlap=replace', 'missed-run=skip'],
  both: ['mode=replicated-job', 'schedule=*/5_*_*_*_*_*', 'overlap=allow', 'runs=2'],
};
const names = Object.keys(kinds);
/** Always there, one of them so small that it fills up; and one that comes and goes. */
const subnets: Readonly<Record<string, string>> = { small: '10.9.0.0/28', back: '10.9.1.0/24' };
const passing = 'passing';

/** What the user knows of one service. */
interface Known {
  /** Those that were refused, which must never be seen. */
  readonly refused: Set<number>;
  acknowledged: number;
  version: number;
  removal: 'no' | 'sent' | 'acknowledged';
}

interface Lead {
  readonly control: Control;
  readonly store: Store;
  readonly alive: () => boolean;
}

export class Client {
  readonly #swarm: Swarm;
  readonly #services = new Map<string, Known>();
  /** Networks by their ids: what was acknowledged of them, or may have happened. */
  readonly #networks = new Map<string, 'made' | 'may be gone' | 'removed'>();
  #numbers = 0;
  sent = 0;
  done = 0;
  refused = 0;

  constructor(swarm: Swarm) {
    this.#swarm = swarm;
  }

  /** One command at random. */
  act(): void {
    const { dice } = this.#swarm;
    const lead = this.#lead();
    if (lead === undefined) return;
    if (this.#makeNetworks(lead)) return;
    const name = dice.pick(names);
    const present = lead.store.serviceByName(name);
    if (dice.chance(0.2)) this.#setAvailability(lead);
    else if (dice.chance(0.08)) this.#changeNetworks(lead);
    else if (present === undefined) this.#create(lead, name);
    else if (dice.chance(0.12)) this.#remove(lead, present);
    else if (isJobMode(present.spec.mode) && dice.chance(0.6)) this.#changeJob(lead, present);
    else if (dice.chance(0.1) && this.#isToRollBack(present)) this.#rollBack(lead, present);
    else if (dice.chance(0.15)) this.#update(lead, present, this.#moved(lead));
    else if (dice.chance(0.3) && name === 'pub') {
      const words = dice.chance(0.5) ? ['publish=none'] : ['publish=none', 'publish=ingress::80'];
      this.#update(lead, present, words);
    } else if (dice.chance(0.5) && present.spec.mode.replicated !== undefined) {
      const replicas = dice.below(name === 'hostport' ? 3 : 7);
      this.#update(lead, present, [`replicas=${replicas}`]);
    } else this.#update(lead, present, [`image=${dice.pick(images)}`]);
  }

  /** The last word: everything may run, and what runs works. Called until it is so. */
  settle(): boolean {
    const lead = this.#lead();
    if (lead === undefined) return false;
    if (this.#makeNetworks(lead)) return false;
    let isSettled = true;
    for (const node of lead.store.nodes()) {
      if (node.manager !== undefined || node.spec.availability === 'active') continue;
      isSettled = false;
      this.#available(lead, node, 'active');
    }
    for (const name of names) {
      const service = lead.store.serviceByName(name);
      if (service?.spec.task.container?.image === 'good:last') continue;
      isSettled = false;
      if (service === undefined) this.#create(lead, name);
      else
        this.#update(lead, service, [
          'image=good:last',
          'network=none',
          ...this.#lastNetwork(name),
        ]);
    }
    return isSettled;
  }

  /** On the small one all find room in the end, but not if a lost host keeps its addresses. */
  #lastNetwork(name: string): string[] {
    // What comes and goes by the clock has none: who is on a network is looked at as a whole.
    if (kinds[name]?.some((word) => word.startsWith('schedule=')) === true) return [];
    const isSmall = name === 'web' && !this.#swarm.settings.losesHost;
    return [isSmall ? 'network=small' : 'network=back'];
  }

  /** Nothing that was acknowledged is missing, and nothing that was refused is there. */
  check(id: string, store: Store): void {
    this.#checkNetworks(id, store);
    for (const [serviceId, known] of this.#services) {
      const service = store.service(serviceId);
      const fail = (what: string) => {
        throw new Violation('acknowledged commands stay', `at ${id}, service ${serviceId} ${what}`);
      };
      if (service === undefined) {
        if (known.acknowledged > 0 && known.removal === 'no') fail('is gone');
        continue;
      }
      if (known.removal === 'acknowledged') fail('is there again');
      if (service.meta.version < known.version) {
        fail(`is at version ${service.meta.version}, after version ${known.version}`);
      }
      const number = Number(service.spec.labels['number']);
      if (known.refused.has(number)) fail(`has what command ${number} asked, which was refused`);
      if (number >= known.acknowledged) continue;
      fail(`has what command ${number} asked; ${known.acknowledged} was acknowledged`);
    }
  }

  #checkNetworks(id: string, store: Store): void {
    for (const [networkId, known] of this.#networks) {
      const isThere = store.network(networkId) !== undefined;
      if (known === 'may be gone' || isThere === (known === 'made')) continue;
      const what = `at ${id}, network ${networkId}, which was ${known}, is ${isThere ? 'there' : 'gone'}`;
      throw new Violation('acknowledged commands stay', what);
    }
  }

  /** A rollback makes earlier words the last ones. */
  sawService({ id, spec, updateStatus }: Service): void {
    if (updateStatus?.state !== 'rollback_started') return;
    const known = this.#known(id);
    known.acknowledged = Math.min(known.acknowledged, Number(spec.labels['number']));
  }

  #lead(): Lead | undefined {
    const leading = this.#swarm.managers.filter(({ leads, running }) => {
      return leads && running?.process.isPaused === false;
    });
    if (leading.length === 0) return undefined;
    const { running } = this.#swarm.dice.pick(leading);
    if (running === undefined) return undefined;
    const { control, store, process } = running;
    return { control, store, alive: () => process.alive };
  }

  /** Returns whether there was anything to do. */
  #makeNetworks(lead: Lead): boolean {
    const missing = Object.keys(subnets).filter(
      (name) => lead.store.networkByName(name) === undefined,
    );
    for (const name of missing) this.#createNetwork(lead, name);
    return missing.length > 0;
  }

  #createNetwork(lead: Lead, name: string): void {
    const subnet = subnets[name];
    const ipam = subnet === undefined ? {} : { ipam: { configs: [{ subnet }] } };
    const spec = { name, labels: {}, driver: 'overlay', ...ipam };
    this.#send(lead, `create network ${name}`, lead.control.createNetwork({ spec }), ({ id }) => {
      if (!this.#networks.has(id)) this.#networks.set(id, 'made');
    });
  }

  #changeNetworks(lead: Lead): void {
    const present = lead.store.networkByName(passing);
    if (present === undefined) {
      this.#createNetwork(lead, passing);
      return;
    }
    const { id } = present;
    const before = this.#networks.get(id);
    this.#networks.set(id, 'may be gone');
    this.#send(
      lead,
      `remove network ${passing}`,
      lead.control.removeNetwork({ id }),
      () => this.#networks.set(id, 'removed'),
      () => {
        if (before === 'made') this.#networks.set(id, before);
      },
    );
  }

  /** The service is to be on one network, or on two, or on none. */
  #moved({ store }: Lead): string[] {
    const { dice } = this.#swarm;
    const some = [...store.networks()].filter(({ spec }) => spec.ingress !== true);
    const count = dice.below(3);
    return ['network=none', ...dice.some(some, count).map(({ spec }) => `network=${spec.name}`)];
  }

  #create(lead: Lead, name: string): void {
    const number = ++this.#numbers;
    const image = this.#swarm.isCalm ? 'good:last' : this.#swarm.dice.pick(images);
    const own = kinds[name] ?? [];
    const isJob = own[0]?.endsWith('-job') === true;
    const words = [...own, ...(isJob ? jobTiming : timing), `image=${image}`];
    const spec = numbered(newSpec(name, words), number);
    this.#send(lead, `create ${name}`, lead.control.createService({ spec }), ({ id }) => {
      this.#acknowledged(lead, id, number);
    });
  }

  #update(lead: Lead, service: Service, words: readonly string[]): void {
    const number = ++this.#numbers;
    const spec = numbered(edited(service.spec, words), number);
    const { id } = service;
    const known = this.#known(id);
    this.#send(
      lead,
      `update ${spec.name} ${words.join(' ')}`,
      lead.control.updateService({ id, version: service.meta.version, spec }),
      () => this.#acknowledged(lead, id, number),
      () => known.refused.add(number),
    );
  }

  #rollBack(lead: Lead, service: Service): void {
    const { id, meta, spec } = service;
    const answer = lead.control.updateService({ id, version: meta.version, spec, rollback: true });
    this.#send(lead, `roll back ${spec.name}`, answer, () => this.#acknowledged(lead, id, 0));
  }

  /** Once more, or another number of tasks. */
  #changeJob(lead: Lead, service: Service): void {
    const { dice } = this.#swarm;
    const { forceUpdate } = service.spec.task;
    const isCounted = service.spec.mode.replicatedJob !== undefined;
    if (dice.chance(0.5) || !isCounted) {
      this.#update(lead, service, [`force=${forceUpdate + 1}`]);
      return;
    }
    const atOnce = 1 + dice.below(3);
    const total = cronOf(service.spec)?.overlap === 'allow' ? atOnce : dice.below(6);
    this.#update(lead, service, [`completions=${total}`, `max-concurrent=${atOnce}`]);
  }

  /** What is seen of a rollback is its status, which jobs have none of. */
  #isToRollBack({ spec, previousSpec }: Service): boolean {
    return previousSpec !== undefined && !isJobMode(spec.mode);
  }

  #remove(lead: Lead, { id, spec }: Service): void {
    const known = this.#known(id);
    if (known.removal === 'no') known.removal = 'sent';
    this.#send(lead, `remove ${spec.name}`, lead.control.removeService({ id }), () => {
      known.removal = 'acknowledged';
    });
  }

  #setAvailability(lead: Lead): void {
    const { dice } = this.#swarm;
    const nodes = [...lead.store.nodes()].filter(({ manager }) => manager === undefined);
    if (nodes.length === 0) return;
    this.#available(lead, dice.pick(nodes), dice.pick(['active', 'active', 'pause', 'drain']));
  }

  #available(lead: Lead, node: Node, availability: Node['spec']['availability']): void {
    const { id, meta } = node;
    const spec = { ...node.spec, availability };
    const answer = lead.control.updateNode({ id, version: meta.version, spec });
    this.#send(lead, `${availability} ${id}`, answer, () => undefined);
  }

  #acknowledged(lead: Lead, id: string, number: number): void {
    const known = this.#known(id);
    known.acknowledged = Math.max(known.acknowledged, number);
    known.version = Math.max(known.version, lead.store.service(id)?.meta.version ?? 0);
  }

  /** What is unknown in the end may have been done, or may be done yet. */
  #send<T>(
    lead: Lead,
    what: string,
    answer: Promise<T>,
    done: (answer: T) => void,
    refused: () => void = () => undefined,
  ): void {
    this.sent += 1;
    this.#swarm.note('user', what);
    answer.then(
      (value) => {
        if (!lead.alive()) return;
        this.done += 1;
        this.#swarm.note('user', `${what}: done`);
        done(value);
      },
      (thrown: unknown) => {
        if (!lead.alive()) return;
        const { code, message } = SwarmError.from(thrown);
        this.#swarm.note('user', `${what}: ${code}: ${message}`);
        if (code === 'unavailable' || code === 'resource-exhausted') return;
        if (code === 'internal') this.#swarm.fail(new Violation('commands', `${what}: ${message}`));
        this.refused += 1;
        refused();
      },
    );
  }

  #known(id: string): Known {
    let known = this.#services.get(id);
    if (known === undefined) {
      known = { refused: new Set(), acknowledged: 0, version: 0, removal: 'no' };
      this.#services.set(id, known);
    }
    return known;
  }
}

function numbered(spec: ServiceSpec, number: number): ServiceSpec {
  return { ...spec, labels: { ...spec.labels, number: String(number) } };
}
