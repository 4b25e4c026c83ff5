/** What people are told of a container that is made nevertheless. */
import type { HostDocument } from '../../types/index.ts';
import type { ContainerRecord } from './view.ts';

type Documents = Pick<ContainerRecord, 'config' | 'host'>;

export function warningsOf({ config, host }: Documents): readonly string[] {
  const ports = Object.keys(host.portBindings ?? {}).length > 0;
  return [
    ...(ports && host.networkMode === 'host'
      ? ['Published ports are discarded when using host network mode']
      : []),
    ...volumeDriverWarning({ host }),
    ...foreignWarnings({ config, host }),
  ];
}

/** `asked` is what a client has named, and `used` the program that works on this node. */
export function runtimeWarnings(
  { runtime: asked = '' }: Pick<HostDocument, 'runtime'>,
  used: string,
): readonly string[] {
  if (!['runc', 'crun'].includes(asked) || asked === used) return [];
  return [`this node starts its containers with ${used}, not with ${asked}`];
}

/** A driver for all volumes is one for those of -v alone. */
function volumeDriverWarning({ host }: Pick<Documents, 'host'>): readonly string[] {
  const isAmbiguous = (host.mounts ?? []).some(
    ({ type, volumeOptions }) => type === 'volume' && !volumeOptions?.driverConfig?.name,
  );
  if (host.volumeDriver === '' || !isAmbiguous) return [];
  return [
    "WARNING: the container-wide volume-driver configuration is ignored for volumes specified via 'mount'. " +
      "Use '--mount type=volume,volume-driver=...' instead",
  ];
}

/** What other systems have: Docker takes it without a word, and does nothing with it on Linux. */
function foreignWarnings({ config, host }: Documents): readonly string[] {
  const given = {
    ArgsEscaped: config.argsEscaped === true,
    CpuCount: host.cpuCount !== 0,
    CpuPercent: host.cpuPercent !== 0,
    IOMaximumIOps: host.ioMaximumIops !== 0,
    IOMaximumBandwidth: host.ioMaximumBandwidth !== 0,
  };
  const names = Object.entries(given).flatMap(([name, isGiven]) => (isGiven ? [name] : []));
  return names.map((name) => `${name} is for Windows containers: it changes nothing here`);
}
