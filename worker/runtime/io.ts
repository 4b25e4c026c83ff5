/** The streams of a container's processes: the part of the Runtime port that clients attach to. */

export interface OutputSink {
  /** The container's writes wait until it resolves. One that rejects is given no more. */
  write(stream: 'stdout' | 'stderr', data: Uint8Array): Promise<void>;
  /** Nothing more will come. */
  end(): void;
}

export interface StdinPipe {
  /** Resolves when there is room for more. What the process does not read any more is dropped. */
  write(data: Uint8Array): Promise<void>;
  /** The process sees the end of its input. */
  end(): Promise<void>;
}

export interface TerminalSize {
  readonly width: number;
  readonly height: number;
}

export interface ExecRequest {
  readonly argv: readonly string[];
  /** On top of the environment of the container's first process. */
  readonly env: readonly string[];
  /** Empty: that of the first process. */
  readonly workdir: string;
  /** Empty: that of the first process. */
  readonly user: string;
  readonly tty: boolean;
  readonly stdin: boolean;
  readonly privileged: boolean;
  readonly consoleSize?: TerminalSize;
}

export interface ExecProcess {
  /** In the host's numbering. */
  readonly pid: number;
  /** Resolves when the process has ended and all of its output has been written. */
  readonly exited: Promise<number>;
  readonly stdin?: StdinPipe;
  resize(size: TerminalSize): Promise<void>;
}

export interface ContainerIo {
  /**
   * Hands over what the container writes from now on. Disposing lets go of the sink. Throws
   * `failed-precondition` for a container whose output goes nowhere.
   */
  attach(id: string, sink: OutputSink): Disposable;
  /** Throws `failed-precondition` for a container without one. */
  stdin(id: string): StdinPipe;
  resize(id: string, size: TerminalSize): Promise<void>;
  /**
   * Runs a command inside. Throws `failed-precondition` when the container does not run, and
   * `invalid-argument` for a command that cannot be executed.
   */
  exec(id: string, request: ExecRequest, sink: OutputSink): Promise<ExecProcess>;
}
