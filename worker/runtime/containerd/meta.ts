/** What we keep of a container in containerd itself, so that the next daemon can take it over. */
import type { Any } from '@bufbuild/protobuf/wkt';
import type { ContainerConfig, LogConfig } from '../runtime.ts';
import { shimGroupAnnotation, type OciProcess, type OciSpec } from '../oci/spec.ts';
import type { ContainerdClient } from './client.ts';

export interface Meta {
  readonly labels: Readonly<Record<string, string>>;
  readonly log: LogConfig;
  readonly tty: boolean;
  readonly stdin?: boolean;
  readonly attachable?: boolean;
  readonly layer?: string;
  readonly logPath?: string;
}

export const specType = 'types.containerd.io/opencontainers/runtime-spec/1/Spec';
export const processType = 'types.containerd.io/opencontainers/runtime-spec/1/Process';
/** Labels proper are limited to 4 KiB each in containerd; an extension is not. */
const extension = 'ts-swarm.container';
const extensionType = 'ts-swarm/container';

type StoredContainer = Awaited<
  ReturnType<ContainerdClient['containers']['list']>
>['containers'][number];

export function metaOf(config: ContainerConfig): Meta {
  const { labels, log, tty, openStdin, more = {} } = config;
  return {
    labels,
    log,
    tty,
    ...(openStdin ? { stdin: true } : {}),
    ...(more.attachable ? { attachable: true } : {}),
    ...(more.layer === undefined ? {} : { layer: more.layer }),
    ...(more.logPath === undefined ? {} : { logPath: more.logPath }),
  };
}

export function encodeMeta(meta: Meta): Record<string, AnyInit> {
  return { [extension]: json(extensionType, meta) };
}

type AnyInit = Pick<Any, 'typeUrl' | 'value'>;

export function json(typeUrl: string, value: unknown): AnyInit {
  return { typeUrl, value: Buffer.from(JSON.stringify(value)) };
}

/** Nothing for a container that no daemon of ours has made. */
export function decodeContainer(
  container: StoredContainer,
): { meta: Meta; process: OciProcess; shimGroup: string; cgroupsPath: string } | undefined {
  const stored = container.extensions[extension];
  if (stored === undefined || container.spec === undefined) return undefined;
  const spec = parse(container.spec.value) as OciSpec;
  return {
    meta: parse(stored.value) as Meta,
    process: spec.process,
    shimGroup: spec.annotations[shimGroupAnnotation] ?? container.id,
    cgroupsPath: spec.linux.cgroupsPath,
  };
}

function parse(bytes: Uint8Array): unknown {
  return JSON.parse(Buffer.from(bytes).toString());
}
