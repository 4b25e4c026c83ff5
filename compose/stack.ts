/** What a deployment makes of files: specs as the API takes them, named for the stack. */
import type { NetworkSpec, ServiceSpec } from '../types/index.ts';
import type { Position } from './node.ts';

/** Docker's tools know a stack by this label on everything that belongs to it. */
export const stackLabel = 'com.docker.stack.namespace';
/** The image as the file has it, on a service whose spec has its digest. */
export const imageLabel = 'com.docker.stack.image';
/** The name that the file has for a secret or config, whose own name changes with its content. */
export const fileLabel = 'ts-swarm.stack.file';
/** Which content one has whose name is the file's own choice: of a secret, nobody is told it. */
export const contentLabel = 'ts-swarm.stack.content';

export interface Stack {
  readonly name: string;
  /** In an order in which each one comes after what it depends on. */
  readonly services: readonly StackService[];
  readonly networks: readonly StackNetwork[];
  readonly secrets: readonly StackFile[];
  readonly configs: readonly StackFile[];
}

export interface StackService {
  /** As the file has it. */
  readonly key: string;
  readonly at: Position;
  /** Networks by name; secrets and configs by name, without ids. */
  readonly spec: ServiceSpec;
  /** The platform is the file's choice, not what the image exists for. */
  readonly fixedPlatform: boolean;
  /** How its image is made, where that is not somebody else's affair. */
  readonly build?: StackBuild;
}

export interface StackBuild {
  /** An absolute path. */
  readonly context: string;
  /** The service's image first; each of them is pushed. */
  readonly tags: readonly string[];
  /** What has no value takes the environment's. */
  readonly args: Readonly<Record<string, string | undefined>>;
  readonly labels: Readonly<Record<string, string>>;
  /** `name:address`. */
  readonly extraHosts: readonly string[];
  readonly dockerfile?: string;
  /** The Dockerfile's text. */
  readonly inline?: string;
  readonly target?: string;
  readonly network?: string;
  readonly platform?: string;
  readonly noCache?: boolean;
  readonly pull?: boolean;
  readonly shmBytes?: number;
  readonly ulimits?: readonly { readonly name: string; soft: number; hard: number }[];
}

export interface StackNetwork {
  readonly key: string;
  readonly at: Position;
  /** In the swarm. */
  readonly name: string;
  /** Absent for an external network. */
  readonly spec?: NetworkSpec;
}

/** A secret or a config. */
export interface StackFile {
  readonly key: string;
  readonly at: Position;
  readonly name: string;
  /** Absent for an external one. */
  readonly content?: {
    /** Base64. */
    readonly data: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly templateDriver?: string;
    /** The name says which content it is: another content has another name. */
    readonly versioned: boolean;
  };
}

export function scoped(stack: string, name: string): string {
  return `${stack}_${name}`;
}
