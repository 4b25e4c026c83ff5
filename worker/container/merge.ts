/** A container's document with its image's defaults, and Docker's own: what `inspect` shows. */
import type { ContainerDocument, HealthCheck, HostDocument } from '../../types/index.ts';
import type { ImageConfig } from '../image/images.ts';
import { maskedPaths, readonlyPaths } from '../runtime/oci/spec.ts';

const shmBytes = 64 * 1024 * 1024;
const shortIdLength = 12;

export function mergedConfig(
  given: ContainerDocument,
  image: ImageConfig,
  facts: { readonly id: string; readonly hostname: string },
  networkMode: string,
): ContainerDocument {
  const ownEntrypoint = (given.entrypoint?.length ?? 0) > 0;
  const entrypoint = ownEntrypoint ? given.entrypoint : image.entrypoint;
  const inheritsCmd = !ownEntrypoint && (given.cmd?.length ?? 0) === 0;
  const cmd = inheritsCmd ? image.cmd : given.cmd;
  const stopSignal = given.stopSignal || image.stopSignal;
  const exposedPorts = union(given.exposedPorts, image.exposedPorts);
  const volumes = union(given.volumes, image.volumes);
  const healthcheck = mergedHealthcheck(given.healthcheck, image);
  return {
    ...given,
    hostname: given.hostname || defaultHostname(networkMode, facts),
    user: given.user || image.user,
    env: mergedEnv(given.env ?? [], image.env),
    // An entrypoint of one empty word is how a client takes the image's away.
    entrypoint: isReset(entrypoint) || entrypoint?.length === 0 ? null : entrypoint,
    cmd: cmd === null || cmd.length === 0 ? null : cmd,
    labels: { ...image.labels, ...given.labels },
    workingDir: given.workingDir || image.workingDir,
    ...(stopSignal ? { stopSignal } : {}),
    ...(exposedPorts.length === 0 ? {} : { exposedPorts }),
    volumes: volumes.length === 0 ? null : volumes,
    ...(healthcheck === undefined ? {} : { healthcheck }),
  };
}

export function argvOf({ entrypoint, cmd }: ContainerDocument): readonly string[] {
  return [...(entrypoint ?? []), ...(cmd ?? [])];
}

/** What Docker fills in where a client said nothing. */
export function completedHost(given: HostDocument, cgroupVersion: 1 | 2): HostDocument {
  const { networkMode, restartPolicy, logConfig, memory, memorySwap } = given;
  return {
    ...given,
    networkMode: networkMode === '' || networkMode === 'default' ? 'bridge' : networkMode,
    restartPolicy: { ...restartPolicy, name: restartPolicy.name || 'no' },
    logConfig: { ...logConfig, type: logConfig.type || 'json-file' },
    shmSize: given.shmSize || shmBytes,
    ipcMode: given.ipcMode || 'private',
    cgroupnsMode: given.cgroupnsMode || (cgroupVersion === 2 ? 'private' : 'host'),
    runtime: given.runtime || 'runc',
    // They are kept by the ids of what they lead to: names change.
    links: null,
    memorySwap: memory > 0 && memorySwap === 0 ? memory * 2 : memorySwap,
    oomKillDisable: given.oomKillDisable ?? false,
    maskedPaths: given.maskedPaths ?? (given.privileged ? null : maskedPaths),
    readonlyPaths: given.readonlyPaths ?? (given.privileged ? null : readonlyPaths),
  };
}

/** The image's variables, but for those that are given. */
function mergedEnv(given: readonly string[], image: readonly string[]): readonly string[] {
  const names = new Set(given.map(nameOf));
  return [...given, ...image.filter((entry) => !names.has(nameOf(entry)))];
}

function nameOf(entry: string): string {
  return entry.split('=', 1)[0] ?? '';
}

function isReset(words: readonly string[] | null): boolean {
  return words?.length === 1 && words[0] === '';
}

function union(
  given: readonly string[] | null | undefined,
  image: readonly string[],
): readonly string[] {
  return [...new Set([...(given ?? []), ...image])];
}

function defaultHostname(
  networkMode: string,
  { id, hostname }: { readonly id: string; readonly hostname: string },
): string {
  return networkMode === 'host' ? hostname : id.slice(0, shortIdLength);
}

/** Field by field; the image has nanoseconds and Docker's capitals. */
function mergedHealthcheck(
  given: HealthCheck | undefined,
  { healthcheck: image }: ImageConfig,
): HealthCheck | undefined {
  if (image === undefined) return given;
  const ms = (nanoseconds: number | undefined) => (nanoseconds ?? 0) / 1e6;
  return {
    test: given?.test?.length ? given.test : (image.Test ?? []),
    intervalMs: given?.intervalMs || ms(image.Interval),
    timeoutMs: given?.timeoutMs || ms(image.Timeout),
    startPeriodMs: given?.startPeriodMs || ms(image.StartPeriod),
    startIntervalMs: given?.startIntervalMs || ms(image.StartInterval),
    retries: given?.retries || (image.Retries ?? 0),
  };
}
