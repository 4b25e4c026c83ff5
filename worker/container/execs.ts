/** Commands run inside containers on a client's behalf. Docker forgets them with the daemon; so do we. */
import { createHash } from 'node:crypto';
import type { Clock } from '../../lib/clock.ts';
import { SwarmError } from '../../lib/errors.ts';
import type { Random } from '../../lib/random.ts';
import type { ExecDocument } from '../../types/index.ts';
import type { ContainerIo, ExecProcess, OutputSink, TerminalSize } from '../runtime/io.ts';
import type { ContainerEvents } from './events.ts';
import { commandFailure } from './start-failure.ts';
import type { ContainerView } from './view.ts';

/** Those that have ended are told of for so long. */
const keptMs = 5 * 60_000;
/** Of a container; more would be a client that leaks them. */
const perContainerMax = 1000;

export interface ExecView {
  readonly id: string;
  readonly containerId: string;
  readonly containerUser: string;
  readonly document: ExecDocument;
  readonly running: boolean;
  /** Absent until it has ended. */
  readonly exitCode?: number;
  readonly pid: number;
}

interface Exec {
  readonly id: string;
  readonly container: ContainerView;
  readonly document: ExecDocument;
  process: ExecProcess | undefined;
  started: boolean;
  exitCode: number | undefined;
}

interface ExecsDeps {
  /** Of what the container is linked to, as that is now. */
  readonly linkEnv: (record: ContainerView['record']) => readonly string[];
  readonly io: ContainerIo;
  readonly events: ContainerEvents;
  readonly clock: Clock;
  readonly random: Random;
}

export class Execs {
  readonly #deps: ExecsDeps;
  readonly #execs = new Map<string, Exec>();

  constructor(deps: ExecsDeps) {
    this.#deps = deps;
  }

  create(container: ContainerView, document: ExecDocument): string {
    if (document.cmd.length === 0) {
      throw new SwarmError('invalid-argument', 'No exec command specified');
    }
    checkRuns(container);
    if (this.of(container.record.id).length >= perContainerMax) {
      throw new SwarmError(
        'resource-exhausted',
        `container ${container.record.name} has ${perContainerMax} commands already`,
      );
    }
    const id = createHash('sha256').update(this.#deps.random.id()).digest('hex');
    this.#execs.set(id, {
      id,
      container,
      document,
      process: undefined,
      started: false,
      exitCode: undefined,
    });
    this.#tell(`exec_create: ${commandText(document.cmd)}`, container, { execID: id });
    return id;
  }

  /** Throws `not-found`. */
  view(id: string): ExecView {
    const { container, document, process, exitCode } = this.#get(id);
    return {
      id,
      containerId: container.record.id,
      containerUser: container.record.config.user,
      document,
      running: process !== undefined && exitCode === undefined,
      ...(exitCode === undefined ? {} : { exitCode }),
      pid: process?.pid ?? 0,
    };
  }

  /** Resolves once it runs. Throws `aborted` for one that was started before. */
  async start(
    id: string,
    sink: OutputSink,
    options: { readonly stdin: boolean; readonly consoleSize?: TerminalSize },
  ): Promise<ExecProcess> {
    const exec = this.#get(id);
    const { container, document } = exec;
    if (exec.started) {
      const how = exec.exitCode === undefined ? 'is already running' : 'has already run';
      throw new SwarmError('aborted', `exec command ${id} ${how}`);
    }
    checkRuns(container);
    exec.started = true;
    const { consoleSize } = options;
    this.#tell(`exec_start: ${commandText(document.cmd)}`, container, { execID: id });
    try {
      const process = await this.#deps.io.exec(
        container.runtimeId,
        {
          argv: document.cmd,
          env: [...this.#deps.linkEnv(container.record), ...document.env],
          workdir: document.workingDir,
          user: document.user,
          tty: document.tty,
          stdin: options.stdin,
          privileged: document.privileged,
          ...(consoleSize === undefined ? {} : { consoleSize }),
        },
        sink,
      );
      exec.process = process;
      void process.exited.then((exitCode) => this.#ended(exec, exitCode));
      return process;
    } catch (error) {
      throw this.#failed(exec, error);
    }
  }

  /** Its client has gone with the detach keys. */
  tellLeft(id: string): void {
    this.#tell('exec_detach', this.#get(id).container, { execID: id });
  }

  async resize(id: string, size: TerminalSize): Promise<void> {
    const { process, exitCode } = this.#get(id);
    if (process === undefined || exitCode !== undefined) {
      throw new SwarmError('aborted', `exec command ${id} is not running`);
    }
    await process.resize(size);
  }

  of(containerId: string): readonly string[] {
    return [...this.#execs.values()]
      .filter(({ container, exitCode }) => {
        return container.record.id === containerId && exitCode === undefined;
      })
      .map(({ id }) => id);
  }

  /** The container is gone. */
  forget(containerId: string): void {
    for (const { id, container } of this.#execs.values()) {
      if (container.record.id === containerId) this.#execs.delete(id);
    }
  }

  #ended(exec: Exec, exitCode: number): void {
    exec.exitCode = exitCode;
    const { id, container } = exec;
    this.#tell('exec_die', container, { execID: id, exitCode: String(exitCode) });
    this.#deps.clock.after(keptMs, () => this.#execs.delete(id));
  }

  #failed(exec: Exec, error: unknown): SwarmError {
    const known = SwarmError.from(error);
    const found = commandFailure(known.message, exec.document.cmd[0] ?? '');
    this.#ended(exec, found?.exitCode ?? 126);
    if (found === undefined) return known;
    const message =
      'OCI runtime exec failed: exec failed: unable to start container process: ' +
      `${found.reason}: unknown`;
    return new SwarmError('invalid-argument', message, { cause: error });
  }

  #get(id: string): Exec {
    const exec = this.#execs.get(id);
    if (exec !== undefined) return exec;
    throw new SwarmError('not-found', `No such exec instance: ${id}`);
  }

  #tell(action: string, { record }: ContainerView, more: Readonly<Record<string, string>>): void {
    this.#deps.events.tell(action, record, more);
  }
}

function checkRuns({ record, state }: ContainerView): void {
  if (state.status === 'paused') {
    const message = `container ${record.name} is paused, unpause the container before exec`;
    throw new SwarmError('aborted', `Container ${message.slice('container '.length)}`);
  }
  if (state.status !== 'running') {
    throw new SwarmError('aborted', `container ${record.id} is not running`);
  }
}

/** Docker writes a space after the program also where no arguments come. */
function commandText([program = '', ...args]: readonly string[]): string {
  return `${program} ${args.join(' ')}`;
}
