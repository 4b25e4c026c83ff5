/** What a container cannot have here: refused with a sentence, in Docker's words where it has any. */
import { SwarmError } from '../../lib/errors.ts';
import type { ContainerDocument, HostDocument } from '../../types/index.ts';
import { checkDeviceRequests } from '../device/index.ts';
import { parseSeccompFile } from '../runtime/oci/seccomp-file.ts';
import type { CpuLists } from '../runtime/controls.ts';
import { checkCpusets } from './cpusets.ts';
import { macText } from './mac.ts';
import { logOf } from './runtime-config.ts';
import { checkProcess } from './process-checks.ts';
import { checkRestartPolicy } from './restart-policy.ts';

export const memoryMin = 6 * 1024 * 1024;
/** The least that the kernel shares out: a millisecond of each hundred. */
const nanoCpusMin = 1e7;

interface HostLimits {
  readonly cpus: number;
  readonly cpuLists: CpuLists;
}

/** Throws `invalid-argument` or `unimplemented`. */
export function checkContainer(
  config: ContainerDocument,
  host: HostDocument,
  limits: HostLimits,
): void {
  checkRestartPolicy(host.restartPolicy, host.autoRemove);
  logOf({ config, host });
  checkResources(host, limits);
  checkCpusets(host, limits.cpuLists);
  checkHealth(config);
  checkNamespaces(config, host);
  checkSecurity(host);
  checkUnsupported(config, host);
  checkProcess(config, host);
}

function invalid(message: string): never {
  throw new SwarmError('invalid-argument', message);
}

function unsupported(message: string): never {
  throw new SwarmError('unimplemented', message);
}

function checkResources(host: HostDocument, { cpus }: HostLimits): void {
  const { memory, memorySwap, memoryReservation, nanoCpus } = host;
  if (memory !== 0 && memory < memoryMin) invalid('Minimum memory limit allowed is 6MB');
  if (memory > 0 && memorySwap > 0 && memorySwap < memory) {
    invalid('Minimum memoryswap limit should be larger than memory limit, see usage');
  }
  if (memory === 0 && memorySwap > 0) {
    invalid('You should always set the Memory limit when using Memoryswap limit, see usage');
  }
  if (memoryReservation !== 0 && memoryReservation < memoryMin) {
    invalid('Minimum memory reservation allowed is 6MB');
  }
  if (memory > 0 && memoryReservation > memory) {
    invalid('Minimum memory limit can not be less than memory reservation limit, see usage');
  }
  if (nanoCpus > 0 && host.cpuPeriod > 0) {
    invalid('Conflicting options: Nano CPUs and CPU Period cannot both be set');
  }
  if (nanoCpus > 0 && host.cpuQuota > 0) {
    invalid('Conflicting options: Nano CPUs and CPU Quota cannot both be set');
  }
  const isTooSmall = nanoCpus !== 0 && nanoCpus < nanoCpusMin;
  if (isTooSmall || nanoCpus > cpus * 1e9) {
    invalid(`Range of CPUs is from 0.01 to ${cpus}.00, as there are only ${cpus} CPUs available`);
  }
  if (host.cpuPeriod !== 0 && (host.cpuPeriod < 1000 || host.cpuPeriod > 1e6)) {
    invalid('CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)');
  }
  if (host.cpuQuota > 0 && host.cpuQuota < 1000) {
    invalid('CPU cfs quota can not be less than 1ms (i.e. 1000)');
  }
  const { memorySwappiness: swappiness } = host;
  if (swappiness !== null && (swappiness < -1 || swappiness > 100)) {
    invalid(`Invalid value: ${swappiness}, valid memory swappiness range is 0-100`);
  }
  if (host.oomScoreAdj < -1000 || host.oomScoreAdj > 1000) {
    invalid(`Invalid value ${host.oomScoreAdj}, range for oom score adj is [-1000, 1000]`);
  }
  if (host.cpuShares < 0) invalid(`Invalid CPU shares: ${host.cpuShares} is less than 0`);
  if (host.shmSize < 0) invalid('SHM size can not be less than 0');
}

function checkHealth({ healthcheck }: ContainerDocument): void {
  if (healthcheck === undefined) return;
  const {
    intervalMs = 0,
    timeoutMs = 0,
    startPeriodMs = 0,
    startIntervalMs = 0,
    retries = 0,
  } = healthcheck;
  for (const [name, ms] of [
    ['Interval', intervalMs],
    ['Timeout', timeoutMs],
    ['StartPeriod', startPeriodMs],
    ['StartInterval', startIntervalMs],
  ] as const) {
    if (ms !== 0 && ms < 1) invalid(`${name} in Healthcheck cannot be less than 1ms`);
  }
  if (retries < 0) invalid('Retries in Healthcheck cannot be negative');
}

function checkNamespaces(config: ContainerDocument, host: HostDocument): void {
  const { networkMode, ipcMode, pidMode, utsMode, usernsMode, cgroupnsMode } = host;
  if (!['', 'private', 'shareable', 'host', 'none'].includes(ipcMode)) {
    if (!ipcMode.startsWith('container:')) invalid(`invalid IPC mode: ${ipcMode}`);
    unsupported('the IPC namespace of another container cannot be shared by this version');
  }
  if (pidMode !== '' && pidMode !== 'host' && !pidMode.startsWith('container:')) {
    invalid(`invalid PID mode: ${pidMode}`);
  }
  if (utsMode !== '' && utsMode !== 'host') invalid(`invalid UTS mode: ${utsMode}`);
  if (usernsMode !== '' && usernsMode !== 'host') invalid(`invalid user namespace mode`);
  if (!['', 'host', 'private'].includes(cgroupnsMode)) {
    invalid(`invalid cgroup namespace mode: ${cgroupnsMode}`);
  }
  if (utsMode === 'host' && config.hostname !== '') {
    invalid('conflicting options: hostname and the UTS mode');
  }
  const isElsewhere = networkMode === 'host' || networkMode.startsWith('container:');
  if (isElsewhere && config.macAddress) {
    invalid('conflicting options: mac-address and the network mode');
  }
  if (!networkMode.startsWith('container:')) return;
  if (config.hostname !== '') invalid('conflicting options: hostname and the network mode');
  if (Object.keys(host.portBindings ?? {}).length > 0 || host.publishAllPorts) {
    invalid('conflicting options: port publishing and the container type network mode');
  }
  if ((host.dns?.length ?? 0) > 0) invalid('conflicting options: dns and the network mode');
  if ((host.extraHosts?.length ?? 0) > 0) {
    invalid('conflicting options: custom host-to-IP mapping and the network mode');
  }
}

function checkSecurity({ securityOpt }: HostDocument): void {
  for (const option of securityOpt ?? []) {
    const [, name = '', value = ''] = /^([^=:]+)[=:]?(.*)$/s.exec(option) ?? [];
    if (name === 'no-new-privileges') {
      if (/^(?:|true|false)$/.test(value)) continue;
      invalid(`invalid --security-opt 2: "${option}"`);
    }
    if (name === 'label' && value === 'disable') continue;
    if (name === 'seccomp') {
      if (value !== 'unconfined' && value !== 'builtin') parseSeccompFile(value);
      continue;
    }
    if (name === 'apparmor' && value === 'unconfined') continue;
    if (name === 'systempaths' && value === 'unconfined') continue;
    if (!['label', 'apparmor'].includes(name)) {
      invalid(`invalid --security-opt 2: "${option}"`);
    }
    unsupported(
      `the security option ${name}=${value.slice(0, 20)} is not supported by this version: ` +
        'containers are confined by seccomp, capabilities and namespaces',
    );
  }
}

/** Containers' layers are folders of one file system here, whose quotas nobody has set up. */
function checkStorage(options: readonly string[]): void {
  const unknown = options.find((option) => option.toLowerCase() !== 'size');
  if (unknown !== undefined) invalid(`Unknown option ${unknown}`);
  if (options.length === 0) return;
  invalid("--storage-opt is supported only for overlay over xfs with 'pquota' mount option");
}

function checkRealtime({ cpuRealtimePeriod: period, cpuRealtimeRuntime: runtime }: HostDocument) {
  if (period === 0 && runtime === 0) return;
  if (period !== 0 && runtime > period) {
    invalid('cpu real-time runtime cannot be higher than cpu real-time period');
  }
  invalid(
    'CPU real-time scheduling is not supported: no time of this host is set aside for it; leave ' +
      '--cpu-rt-period and --cpu-rt-runtime out',
  );
}

function checkUnsupported(config: ContainerDocument, host: HostDocument): void {
  if (!['', 'runc', 'crun', 'io.containerd.runc.v2'].includes(host.runtime ?? '')) {
    invalid(`unknown or invalid runtime name: ${host.runtime}`);
  }
  if (!['', 'default'].includes(host.isolation.toLowerCase())) {
    invalid(`invalid isolation '${host.isolation}' on linux`);
  }
  if (host.cgroup !== '') {
    unsupported('the cgroup of another container cannot be joined: leave HostConfig.Cgroup empty');
  }
  checkDeviceRequests(host.deviceRequests ?? []);
  checkStorage(Object.keys(host.storageOpt ?? {}));
  checkRealtime(host);
  if (host.kernelMemory || host.kernelMemoryTcp) {
    unsupported('Linux has no limit of kernel memory any more: use a limit of memory');
  }
  if (config.macAddress) macText(config.macAddress);
}
