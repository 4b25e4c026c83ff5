/** What can be done with a running container, and what it uses: a part of the Runtime port. */
export interface CpuTuning {
  readonly shares?: number;
  readonly periodUs?: number;
  readonly quotaUs?: number;
  /** "0-2,4". */
  readonly cpus?: string;
  readonly mems?: string;
}

/** A limit of one block device, named by its path on the host. */
export interface BlockRate {
  readonly path: string;
  /** Bytes, or operations, a second. */
  readonly rate: number;
}

/** Limits of what a container reads from and writes to block devices. */
export interface BlockIo {
  /** 10 to 1000, beside those of others. */
  readonly weight?: number;
  readonly weightDevices?: readonly { readonly path: string; readonly weight: number }[];
  readonly readBps?: readonly BlockRate[];
  readonly writeBps?: readonly BlockRate[];
  readonly readIops?: readonly BlockRate[];
  readonly writeIops?: readonly BlockRate[];
}

/** Which of them the kernel knows. */
export type BlockSupport = Readonly<Record<keyof BlockIo, boolean>>;

/** What the host has of each, as lists such as "0-2,4". */
export interface CpuLists {
  readonly cpus: string;
  /** Nodes of memory. */
  readonly mems: string;
}

/** Only what is named is changed. */
export interface LimitChanges {
  readonly cpu?: CpuTuning;
  readonly memoryBytes?: number;
  readonly memoryReservationBytes?: number;
  /** Memory and swap together; -1: no limit. */
  readonly memorySwapBytes?: number;
  /** -1: no limit. */
  readonly pids?: number;
  readonly blkioWeight?: number;
}

export interface BlockUsage {
  readonly major: number;
  readonly minor: number;
  readonly op: string;
  readonly value: number;
}

export interface NetworkUsage {
  readonly interface: string;
  readonly rxBytes: number;
  readonly rxPackets: number;
  readonly rxErrors: number;
  readonly rxDropped: number;
  readonly txBytes: number;
  readonly txPackets: number;
  readonly txErrors: number;
  readonly txDropped: number;
}

export interface Usage {
  readonly cpu: {
    readonly totalNs: number;
    readonly kernelNs: number;
    readonly userNs: number;
    readonly perCpuNs?: readonly number[];
    readonly periods: number;
    readonly throttledPeriods: number;
    readonly throttledNs: number;
  };
  readonly memory: {
    readonly usageBytes: number;
    /** The highest so far; where the kernel tells. */
    readonly maxBytes?: number;
    readonly limitBytes: number;
    readonly failures?: number;
    /** The kernel's own counters, by its names. */
    readonly stats: Readonly<Record<string, number>>;
  };
  readonly pids: { readonly current: number; readonly limit?: number };
  readonly block: {
    readonly bytes: readonly BlockUsage[];
    readonly operations: readonly BlockUsage[];
  };
  readonly networks: readonly NetworkUsage[];
}

export interface ContainerControls {
  /** Throws `failed-precondition` for one that does not run. */
  pause(id: string): Promise<void>;
  resume(id: string): Promise<void>;
  update(id: string, changes: LimitChanges): Promise<void>;
  /** The processes inside, in the host's numbering. */
  pids(id: string): Promise<readonly number[]>;
  usage(id: string): Promise<Usage>;
}
