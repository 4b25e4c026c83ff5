/** `service inspect --pretty`. */
import { serviceSpec, type ServiceSpec, type UpdateConfig } from '../../types/index.ts';
import type { WireService } from '../client/wire.ts';
import { entryLines, pairLines } from '../format/pretty.ts';
import { goDuration, humanBinarySize, humanDuration } from '../format/units.ts';

export function prettyService(service: WireService, nowMs: number): string {
  const spec = serviceSpec.decode(service.Spec, 'Spec');
  const { replicated, replicatedJob } = spec.mode;
  const mode = spec.mode.global
    ? 'Global'
    : replicatedJob
      ? 'ReplicatedJob'
      : spec.mode.globalJob
        ? 'GlobalJob'
        : 'Replicated';
  return [
    ...entryLines('', [
      ['ID', service.ID],
      ['Name', spec.name],
    ]),
    ...pairLines('', 'Labels', spec.labels),
    ...entryLines('', [
      ['Service Mode', mode],
      ...(replicated ? [[' Number of Replicas', replicated.replicas ?? 0] as const] : []),
      ...(replicatedJob
        ? [
            [' Max Concurrent', replicatedJob.maxConcurrent ?? 0] as const,
            [' Total Completions', replicatedJob.totalCompletions ?? 0] as const,
          ]
        : []),
    ]),
    ...updateStatusLines(service, nowMs),
    ...placementLines(spec),
    ...updateLines('UpdateConfig', spec.updateConfig),
    ...updateLines('RollbackConfig', spec.rollbackConfig),
    ...containerLines(spec),
    ...resourceLines(spec),
    ...(spec.task.networks?.length
      ? [`Networks: ${spec.task.networks.map(({ target }) => target).join(' ')}`]
      : []),
    ...entryLines('', [['Endpoint Mode', spec.endpoint?.mode ?? 'vip']]),
    ...portLines(service),
    ...healthLines(spec),
  ].join('\n');
}

function updateStatusLines(service: WireService, nowMs: number): string[] {
  const status = service.UpdateStatus;
  if (!status?.State) return [];
  const ago = (time: string | undefined) =>
    time === undefined ? undefined : `${humanDuration(nowMs - Date.parse(time)).toLowerCase()} ago`;
  const completed = status.State.endsWith('completed') ? ago(status.CompletedAt) : undefined;
  return [
    'UpdateStatus:',
    ...entryLines(' ', [
      ['State', status.State],
      ['Started', ago(status.StartedAt)],
      ['Completed', completed],
      ['Message', status.Message],
    ]),
  ];
}

function placementLines({ task: { placement } }: ServiceSpec): string[] {
  if (placement === undefined) return [];
  const { constraints = [], preferences = [], maxReplicas } = placement;
  return [
    'Placement:',
    ...entryLines(' ', [
      ['Constraints', constraints.length > 0 ? `[${constraints.join(' ')}]` : undefined],
      [
        'Preferences',
        preferences.length > 0
          ? preferences.map(({ spread }) => `spread=${spread?.descriptor}`).join(', ')
          : undefined,
      ],
      ['Max Replicas Per Node', maxReplicas || undefined],
    ]),
  ];
}

function updateLines(title: string, config: UpdateConfig | undefined): string[] {
  if (config === undefined) return [];
  const noun = title === 'UpdateConfig' ? 'Update' : 'Rollback';
  return [
    `${title}:`,
    ...entryLines(' ', [
      ['Parallelism', config.parallelism],
      ['Delay', config.delayMs ? goDuration(config.delayMs) : undefined],
      ['On failure', config.failureAction],
      ['Monitoring Period', config.monitorMs ? goDuration(config.monitorMs) : undefined],
      ['Max failure ratio', config.maxFailureRatio],
      [`${noun} order`, config.order],
    ]),
  ];
}

function containerLines({ task: { container } }: ServiceSpec): string[] {
  if (container === undefined) return [];
  const listed = (values: readonly string[] | undefined) =>
    values?.length ? values.join(' ') : undefined;
  const { mounts = [], secrets = [], configs = [] } = container;
  return [
    'ContainerSpec:',
    ...entryLines(' ', [
      ['Image', container.image],
      ['Args', listed(container.args)],
      ['Command', listed(container.command)],
      ['Env', listed(container.env)],
      ['Dir', container.dir || undefined],
      ['User', container.user || undefined],
      ['Groups', listed(container.groups)],
      ['Init', container.init === undefined ? undefined : String(container.init)],
      ['StopSignal', container.stopSignal || undefined],
      [
        'Stop grace',
        container.stopGracePeriodMs === undefined
          ? undefined
          : goDuration(container.stopGracePeriodMs),
      ],
    ]),
    ...(mounts.length > 0 ? ['Mounts:'] : []),
    ...mounts.flatMap((mount) =>
      entryLines(' ', [
        ['Target', mount.target],
        ['Source', mount.source ?? ''],
        ['ReadOnly', String(mount.readOnly ?? false)],
        ['Type', mount.type],
      ]),
    ),
    ...(secrets.length > 0 ? ['Secrets:'] : []),
    ...secrets.flatMap((secret) =>
      entryLines(' ', [
        ['Target', secret.file?.name],
        ['Source', secret.secretName],
      ]),
    ),
    ...(configs.length > 0 ? ['Configs:'] : []),
    ...configs.flatMap((config) =>
      entryLines(' ', [
        ['Target', config.file?.name],
        ['Source', config.configName],
      ]),
    ),
    ...pairLines('', 'Container Labels', container.labels ?? {}),
  ];
}

function resourceLines({ task: { resources } }: ServiceSpec): string[] {
  const amounts = (part: { nanoCpus?: number; memoryBytes?: number } | undefined) =>
    entryLines(' ', [
      ['CPU', part?.nanoCpus ? part.nanoCpus / 1e9 : undefined],
      ['Memory', part?.memoryBytes ? humanBinarySize(part.memoryBytes) : undefined],
    ]);
  const reserved = amounts(resources?.reservations);
  const limited = amounts(resources?.limits);
  if (reserved.length + limited.length === 0) return [];
  return [
    'Resources:',
    ...(reserved.length > 0 ? [' Reservations:', ...reserved.map((line) => ` ${line}`)] : []),
    ...(limited.length > 0 ? [' Limits:', ...limited.map((line) => ` ${line}`)] : []),
  ];
}

function portLines(service: WireService): string[] {
  const ports = service.Endpoint?.Ports ?? [];
  if (ports.length === 0) return [];
  return [
    'Ports:',
    ...ports.flatMap((port) =>
      entryLines(' ', [
        ['PublishedPort', port.PublishedPort ?? 0],
        ['  Protocol', port.Protocol ?? 'tcp'],
        ['  TargetPort', port.TargetPort ?? 0],
        ['  PublishMode', port.PublishMode ?? 'ingress'],
      ]),
    ),
  ];
}

function healthLines({ task: { container } }: ServiceSpec): string[] {
  const check = container?.healthCheck;
  if (check === undefined) return [];
  const time = (ms: number | undefined) => (ms === undefined ? undefined : goDuration(ms));
  return [
    'Healthcheck:',
    ...entryLines(' ', [
      ['Interval', time(check.intervalMs)],
      ['Retries', check.retries],
      ['StartPeriod', time(check.startPeriodMs)],
      ['Timeout', time(check.timeoutMs)],
      ['Tests', check.test?.length ? '' : undefined],
    ]),
    ...(check.test ?? []).map((word) => `  Test = ${word}`),
  ];
}
