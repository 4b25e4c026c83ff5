/** `service inspect --pretty`. */
import { humanDuration } from '../../lib/units.ts';
import {
  autoscaleLabel,
  autoscaleOf,
  cronOf,
  serviceSpec,
  type ContainerSpec,
  type ServiceSpec,
  type UpdateConfig,
} from '../../types/index.ts';
import type { WireService } from '../client/wire.ts';
import { optionalLine, pairLines } from '../format/pretty.ts';
import { goDuration, humanBinarySize } from '../format/units.ts';

/** `networkNames`: the names of networks by their ids. */
export function prettyService(
  service: WireService,
  nowMs: number,
  networkNames: ReadonlyMap<string, string> = new Map(),
): string {
  const spec = serviceSpec.decode(service.Spec, 'Spec');
  const container: Partial<ContainerSpec> = spec.task.container ?? {};
  return [
    '',
    `ID:\t\t${service.ID}`,
    `Name:\t\t${spec.name}`,
    ...pairLines('Labels', spec.labels, ''),
    ...modeLines(spec),
    ...autoscaleLines(service, spec, nowMs),
    ...cronLines(service, spec),
    ...updateStatusLines(service, nowMs),
    ...placementLines(spec),
    ...updateLines('Update', spec.updateConfig),
    ...updateLines('Rollback', spec.rollbackConfig),
    ...containerLines(container),
    ...kernelLines(container),
    ...fileLines(container),
    ...logLines(spec),
    'Resources:',
    ...resourceLines(spec),
    ...networkLines(spec, networkNames),
    `Endpoint Mode:\t${spec.endpoint?.mode ?? ''}`,
    ...portLines(service),
    ...healthLines(container),
    '',
  ].join('\n');
}

function cronLines({ CronStatus: status = {} }: WireService, spec: ServiceSpec): string[] {
  const cron = cronOf(spec);
  if (cron === undefined) return [];
  const { LastSkipped: skipped } = status;
  return [
    'Cron:',
    ` Schedule:\t${cron.schedule}`,
    ` Time Zone:\t${cron.timeZone}`,
    ` Missed Run:\t${cron.missedRun}`,
    ` Overlap:\t${cron.overlap}`,
    ...optionalLine(' Run History:\t', cron.history),
    ...optionalLine(' Last Tick:\t', status.LastTick),
    ...optionalLine(' Next Tick:\t', status.NextTick),
    ...optionalLine(' Last Skipped:\t', skipped && `${skipped.Tick}, as ${skipped.Reason}`),
  ];
}

function autoscaleLines(
  { Autoscale: status }: WireService,
  spec: ServiceSpec,
  nowMs: number,
): string[] {
  const settings = autoscaleOf(spec);
  if (settings === undefined) return [];
  const scaled = status?.LastScaled;
  return [
    'Autoscale:',
    ` Settings:\t${spec.labels[autoscaleLabel] ?? ''}`,
    ...optionalLine(' State:\t\t', status?.State),
    ...optionalLine(' Message:\t', status?.Message),
    ...optionalLine(' Last Scaled:\t', scaled && lastScaled(scaled, nowMs)),
  ];
}

/** `from 2 to 5, 3 minutes ago: cpu at 140% (target 60%)` */
export function lastScaled(
  { At, From, To, Reason }: NonNullable<NonNullable<WireService['Autoscale']>['LastScaled']>,
  nowMs: number,
): string {
  const ago = humanDuration(nowMs - Date.parse(At)).toLowerCase();
  return `from ${From} to ${To}, ${ago} ago: ${Reason}`;
}

function modeLines({ mode: { global, globalJob, replicated, replicatedJob } }: ServiceSpec) {
  if (global !== undefined) return ['Service Mode:\tGlobal'];
  if (globalJob !== undefined) return ['Service Mode:\tGlobalJob'];
  if (replicatedJob === undefined) {
    return ['Service Mode:\tReplicated', ` Replicas:\t${replicated?.replicas ?? 0}`];
  }
  return [
    'Service Mode:\tReplicatedJob',
    ` Max Concurrent:\t${replicatedJob.maxConcurrent ?? 0}`,
    ` Total Completions:\t${replicatedJob.totalCompletions ?? 0}`,
  ];
}

function updateStatusLines(service: WireService, nowMs: number): string[] {
  const status = service.UpdateStatus;
  if (!status?.State) return [];
  const ago = (time: string) => `${humanDuration(nowMs - Date.parse(time)).toLowerCase()} ago`;
  const completed = status.State.endsWith('completed') ? status.CompletedAt : undefined;
  return [
    'UpdateStatus:',
    ` State:\t\t${status.State}`,
    ...optionalLine(' Started:\t', status.StartedAt && ago(status.StartedAt)),
    ...optionalLine(' Completed:\t', completed && ago(completed)),
    ` Message:\t${status.Message ?? ''}`,
  ];
}

function placementLines({ task: { placement } }: ServiceSpec): string[] {
  if (placement === undefined) return [];
  const { constraints = [], preferences = [], maxReplicas } = placement;
  const spread = preferences.map((preference) => `spread=${preference.spread?.descriptor ?? ''}`);
  return [
    'Placement:',
    ...(constraints.length > 0 ? [` Constraints:\t[${constraints.join(' ')}]`] : []),
    ...(spread.length > 0 ? [` Preferences:   [${spread.join(' ')}]`] : []),
    ...optionalLine(' Max Replicas Per Node:   ', maxReplicas || undefined),
  ];
}

function updateLines(noun: 'Update' | 'Rollback', config: UpdateConfig | undefined): string[] {
  if (config === undefined) return [];
  return [
    `${noun}Config:`,
    ` Parallelism:\t${config.parallelism}`,
    ...optionalLine(' Delay:\t\t', config.delayMs ? goDuration(config.delayMs) : undefined),
    ` On failure:\t${config.failureAction ?? 'pause'}`,
    ...optionalLine(
      ' Monitoring Period: ',
      config.monitorMs ? goDuration(config.monitorMs) : undefined,
    ),
    ` Max failure ratio: ${config.maxFailureRatio}`,
    ...optionalLine(` ${`${noun} order:`.padEnd(19)}`, config.order),
  ];
}

function containerLines(container: Partial<ContainerSpec>): string[] {
  // A blank closes every list in Docker's template.
  const listed = (values: readonly string[] | undefined) =>
    values?.length ? `${values.join(' ')} ` : undefined;
  const init = container.init === undefined ? undefined : String(container.init);
  return [
    'ContainerSpec:',
    ` Image:\t\t${container.image ?? ''}`,
    ...optionalLine(' Args:\t\t', listed(container.args)),
    ...optionalLine(' Env:\t\t', listed(container.env)),
    ...optionalLine(' Dir:\t\t', container.dir),
    ...optionalLine(' Init:\t\t', init),
    ...optionalLine(' User: ', container.user),
  ];
}

function kernelLines(container: Partial<ContainerSpec>): string[] {
  const { capabilityAdd = [], capabilityDrop = [], sysctls = {}, ulimits = [] } = container;
  const capabilities = [
    ...(capabilityAdd.length > 0 ? [` Add: ${capabilityAdd.join(', ')}`] : []),
    ...(capabilityDrop.length > 0 ? [` Drop: ${capabilityDrop.join(', ')}`] : []),
  ];
  const settings = Object.entries(sysctls).map(([key, value]) => ` ${key}: ${value}`);
  const limits = ulimits.map(({ name, soft, hard }) => ` ${name}: ${soft}:${hard}`);
  return [
    ...(capabilities.length > 0 ? ['Capabilities:', ...capabilities] : []),
    ...(settings.length > 0 ? ['SysCtls:', ...settings] : []),
    ...(limits.length > 0 ? ['Ulimits:', ...limits] : []),
  ];
}

function fileLines({ mounts = [], secrets = [], configs = [] }: Partial<ContainerSpec>): string[] {
  const named = (target: string | undefined, source: string) => [
    ` Target:\t${target ?? ''}`,
    `  Source:\t${source}`,
  ];
  return [
    ...(mounts.length > 0 ? ['Mounts:'] : []),
    ...mounts.flatMap((mount) => [
      ...named(mount.target, mount.source ?? ''),
      `  ReadOnly:\t${mount.readOnly ?? false}`,
      `  Type:\t\t${mount.type}`,
    ]),
    ...(configs.length > 0 ? ['Configs:'] : []),
    ...configs.flatMap(({ file, configName }) => named(file?.name, configName)),
    ...(secrets.length > 0 ? ['Secrets:'] : []),
    ...secrets.flatMap(({ file, secretName }) => named(file?.name, secretName)),
  ];
}

function logLines({ task: { logDriver } }: ServiceSpec): string[] {
  if (logDriver === undefined) return [];
  const options = Object.entries(logDriver.options ?? {});
  return [
    'Log Driver:',
    ...optionalLine(' Name:\t\t', logDriver.name),
    ...(options.length > 0 ? [' LogOpts:'] : []),
    ...options.map(([key, value]) => `  ${`${key}:`.padEnd(15)} ${value}`),
    '',
  ];
}

function resourceLines({ task: { resources } }: ServiceSpec): string[] {
  const amounts = (
    title: string,
    part: { nanoCpus?: number; memoryBytes?: number; pids?: number } | undefined,
  ) => {
    const lines = [
      ...optionalLine('  CPU:\t\t', part?.nanoCpus ? part.nanoCpus / 1e9 : undefined),
      ...optionalLine(
        '  Memory:\t',
        part?.memoryBytes ? humanBinarySize(part.memoryBytes) : undefined,
      ),
      ...optionalLine('  PIDs:\t\t', part?.pids || undefined),
    ];
    return lines.length === 0 ? [] : [` ${title}:`, ...lines];
  };
  return [
    ...amounts('Reservations', resources?.reservations),
    ...amounts('Limits', resources?.limits),
  ];
}

function networkLines(
  { task: { networks = [] } }: ServiceSpec,
  names: ReadonlyMap<string, string>,
) {
  if (networks.length === 0) return [];
  // The blank is Docker's.
  return [`Networks: ${networks.map(({ target }) => names.get(target) ?? target).join(' ')} `];
}

function portLines(service: WireService): string[] {
  const ports = service.Endpoint?.Ports ?? [];
  if (ports.length === 0) return [];
  return [
    'Ports:',
    ...ports.flatMap((port, index) => [
      ` PublishedPort = ${port.PublishedPort ?? 0}`,
      `  Protocol = ${port.Protocol ?? 'tcp'}`,
      `  TargetPort = ${port.TargetPort ?? 0}`,
      // A blank closes the list in Docker's template.
      `  PublishMode = ${port.PublishMode ?? 'ingress'}${index === ports.length - 1 ? ' ' : ''}`,
    ]),
  ];
}

function healthLines({ healthCheck: check }: Partial<ContainerSpec>): string[] {
  if (check === undefined) return [];
  return [
    ' Healthcheck:',
    `  Interval = ${goDuration(check.intervalMs ?? 0)}`,
    `  Retries = ${check.retries ?? 0}`,
    `  StartPeriod =\t${goDuration(check.startPeriodMs ?? 0)}`,
    `  Timeout =\t${goDuration(check.timeoutMs ?? 0)}`,
    ...(check.test?.length ? ['  Tests:'] : []),
    ...(check.test ?? []).map((word, index, all) =>
      index === all.length - 1 ? `\t Test = ${word} ` : `\t Test = ${word}`,
    ),
    '',
  ];
}
