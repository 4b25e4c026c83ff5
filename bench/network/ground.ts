/** Fresh hosts with a swarm and a network, and the containers on it. */
import { join } from 'node:path';
import { Lab, until, type Host } from '../../test/lab/index.ts';
import { BenchService, type ServiceParts, type TaskInfo } from '../swarm/service.ts';
import type { Swarm } from '../swarm/swarm.ts';

/** The overlay network that everything runs on. */
const networkName = 'bench';
/** Room for more than the 254 of a network that nobody has thought about. */
const subnet = '10.200.0.0/16';

/** A container of a task on the network. */
export interface Member {
  readonly task: TaskInfo;
  readonly host: Host;
  readonly address: string;
  /** Of its first process, in the machine's numbers. */
  readonly pid: number;
  readonly hostPid: number;
}

export class Ground implements AsyncDisposable {
  readonly swarm: Swarm;
  readonly lab: Lab;
  readonly image: string;

  private constructor(swarm: Swarm, lab: Lab, image: string) {
    this.swarm = swarm;
    this.lab = lab;
    this.image = image;
  }

  static async open(swarm: Swarm, hosts: number): Promise<Ground> {
    const lab = await Lab.create({ hosts });
    try {
      const [image] = await Promise.all([lab.image('sleeper:1'), swarm.start(lab)]);
      const ground = new Ground(swarm, lab, image);
      await ground.manager.api('POST', '/networks/create', {
        Name: networkName,
        Driver: 'overlay',
        IPAM: { Driver: 'default', Config: [{ Subnet: subnet }] },
      });
      return ground;
    } catch (error) {
      await lab.close();
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.lab.close();
  }

  get manager(): Host {
    return this.lab.host('h1');
  }

  get hosts(): readonly Host[] {
    return this.lab.hosts;
  }

  /** Makes a service on the network and waits until its tasks run. */
  async service(name: string, replicas: number, parts: ServiceParts = {}): Promise<BenchService> {
    const service = new BenchService(this.manager, name);
    await service.create(this.image, replicas, {
      ...parts,
      task: { Networks: [{ Target: networkName }], ...parts.task },
      endpoint: { Mode: this.swarm.hasVips ? 'vip' : 'dnsrr', ...parts.endpoint },
    });
    await service.untilRunning(replicas);
    return service;
  }

  /** The containers of the tasks that run. */
  members(service: BenchService): Promise<readonly Member[]> {
    return until(`${service.name} has containers`, () => this.membersNow(service), {
      accept: (members) => members.length > 0,
    });
  }

  /** The same; throws where the kernel does not have them all as yet. */
  async membersNow(service: BenchService): Promise<readonly Member[]> {
    const tasks = await service.running();
    const containers = this.hosts.flatMap((host) =>
      host.containers().map((container) => ({ ...container, host })),
    );
    return tasks.map((task) => {
      const id = task.Status.ContainerStatus?.ContainerID ?? '';
      const found = containers.find((container) => container.id === id);
      if (found === undefined) throw new Error(`task ${task.ID} has no container ${id}`);
      const { pid, hostPid, host } = found;
      return { task, host, address: addressOf(task), pid, hostPid };
    });
  }

  /** The virtual address of the service on the network. */
  async vip(service: BenchService): Promise<string> {
    interface Info {
      readonly Endpoint: { readonly VirtualIPs: readonly { readonly Addr: string }[] };
    }
    const { Endpoint } = await this.manager.api<Info>('GET', `/services/${service.name}`);
    const vips = Endpoint.VirtualIPs.map(({ Addr }) => withoutPrefix(Addr));
    const vip = vips.find((address) => address.startsWith('10.200.'));
    if (vip === undefined) throw new Error(`${service.name} has no address among ${vips.join()}`);
    return vip;
  }

  /** Where a log of this lab may be written. */
  log(name: string): string {
    return join(this.lab.folder, `${name}.log`);
  }
}

/** Placement on this host alone. */
export function onHost(name: string): object {
  return { Placement: { Constraints: [`node.hostname==${name}`] } };
}

/** The command as seen from inside the container's network, but with the host's files. */
export function inNetworkOf(member: Member, argv: readonly string[]): readonly string[] {
  return ['nsenter', `--net=/proc/${member.hostPid}/ns/net`, '--', ...argv];
}

export function addressOf(task: TaskInfo): string {
  const own = task.NetworksAttachments?.find(({ Network }) => Network.Spec?.Name === networkName);
  const address = own?.Addresses?.[0];
  if (address === undefined) throw new Error(`task ${task.ID} has no address on ${networkName}`);
  return withoutPrefix(address);
}

function withoutPrefix(cidr: string): string {
  return cidr.split('/')[0] ?? '';
}
