/** Where a daemon's containers keep their things. All below its own two roots, none global. */
import { createHash } from 'node:crypto';
import { join } from 'node:path';

interface Roots {
  /** Survives a reboot: images, containers, logs. */
  readonly dataRoot: string;
  /** Does not have to: sockets, pipes, pid files. */
  readonly runRoot: string;
}

export class RuntimePaths {
  readonly #roots: Roots;

  constructor(roots: Roots) {
    this.#roots = roots;
  }

  get containerdRoot(): string {
    return join(this.#roots.dataRoot, 'containerd');
  }
  get runRoot(): string {
    return this.#roots.runRoot;
  }
  /** All that follows below the run root: kept in memory. */
  get memory(): string {
    return join(this.#roots.runRoot, 'runtime');
  }
  get containerdRun(): string {
    return join(this.memory, 'containerd');
  }
  get socket(): string {
    return join(this.containerdRun, 'containerd.sock');
  }
  get pidFile(): string {
    return join(this.containerdRun, 'containerd.pid');
  }
  get configFile(): string {
    return join(this.containerdRun, 'config.toml');
  }
  get containerdLog(): string {
    return join(this.#roots.dataRoot, 'containerd.log');
  }
  /** crun's or runc's own state. */
  get ociRoot(): string {
    return join(this.memory, 'oci');
  }
  /** What containerd is given to execute. */
  get programs(): string {
    return join(this.memory, 'programs');
  }
  get containersData(): string {
    return join(this.#roots.dataRoot, 'containers');
  }
  get containersRun(): string {
    return join(this.memory, 'containers');
  }

  data(id: string): string {
    return join(this.containersData, id);
  }
  logFile(id: string): string {
    return join(this.data(id), `${id}-json.log`);
  }
  exitFile(id: string): string {
    return join(this.data(id), 'exit.json');
  }
  run(id: string): string {
    return join(this.containersRun, id);
  }
  fifo(id: string, stream: string): string {
    return join(this.run(id), stream);
  }

  /** What the container's shim said when it was started. */
  shimSaid(id: string): string {
    return join(this.run(id), 'shim');
  }

  /** There once the daemon itself has started the container's process. */
  startMark(id: string): string {
    return join(this.run(id), 'started');
  }

  /** The cgroup above those of this daemon's containers. */
  get cgroupParent(): string {
    return `/ts-swarm/${this.hash}`;
  }
  cgroup(id: string): string {
    return `${this.cgroupParent}/${id}`;
  }

  /** Tells daemons of one machine apart where names are shared. */
  get hash(): string {
    return createHash('sha256').update(this.#roots.dataRoot).digest('hex').slice(0, 12);
  }
}
