import type { ContainerConfig } from '../runtime.ts';

/** A plain container; tests say only what matters to them. */
export function containerConfig(
  config: Pick<ContainerConfig, 'id' | 'image' | 'argv'> & Partial<ContainerConfig>,
): ContainerConfig {
  return {
    labels: {},
    env: ['PATH=/bin'],
    workdir: '/',
    user: '',
    groups: [],
    hostname: 'test',
    tty: false,
    openStdin: false,
    readOnlyRootfs: false,
    init: false,
    mounts: [],
    files: [],
    resources: {},
    oomScoreAdj: 0,
    capabilityAdd: [],
    capabilityDrop: [],
    sysctls: {},
    ulimits: [],
    noNewPrivileges: false,
    seccompUnconfined: false,
    network: { kind: 'host' },
    stopSignal: 'SIGTERM',
    log: { driver: 'json-file', maxSizeBytes: 1024 * 1024, maxFiles: 3 },
    ...config,
  };
}
