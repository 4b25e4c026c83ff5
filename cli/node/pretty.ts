/** `node inspect --pretty`. */
import type { WireNode } from '../client/wire.ts';
import { optionalLine, pairLines, timeLine } from '../format/pretty.ts';
import { capitalized, humanBinarySize } from '../format/units.ts';

export function prettyNode(node: WireNode): string {
  const { Description: about, ManagerStatus: manager, Spec: spec, Status: status } = node;
  return [
    `ID:\t\t\t${node.ID}`,
    ...optionalLine('Name:\t\t\t', spec.Name),
    ...pairLines('Labels', spec.Labels ?? {}, '- '),
    `Hostname:              \t${about.Hostname ?? ''}`,
    `Joined at:             \t${timeLine(node.CreatedAt)}`,
    'Status:',
    ` State:\t\t\t${capitalized(status.State)}`,
    ...optionalLine(' Message:\t\t', status.Message && capitalized(status.Message)),
    ` Availability:         \t${capitalized(spec.Availability)}`,
    ...optionalLine(' Address:\t\t', status.Addr),
    ...(manager === undefined
      ? []
      : [
          'Manager Status:',
          ` Address:\t\t${manager.Addr ?? ''}`,
          ` Raft Status:\t\t${capitalized(manager.Reachability ?? '')}`,
          ` Leader:\t\t${manager.Leader ? 'Yes' : 'No'}`,
        ]),
    'Platform:',
    ` Operating System:\t${about.Platform?.OS ?? ''}`,
    ` Architecture:\t\t${about.Platform?.Architecture ?? ''}`,
    'Resources:',
    ` CPUs:\t\t\t${Math.floor((about.Resources?.NanoCPUs ?? 0) / 1e9)}`,
    ` Memory:\t\t${humanBinarySize(about.Resources?.MemoryBytes ?? 0)}`,
    ...engineLines(node),
    ...certificateLines(node),
  ].join('\n');
}

function engineLines({ Description: { Engine: engine } }: WireNode): string[] {
  const plugins = new Map<string, string[]>();
  for (const { Type, Name } of engine?.Plugins ?? []) {
    plugins.set(Type, [...(plugins.get(Type) ?? []), Name]);
  }
  return [
    ...(plugins.size === 0 ? [] : ['Plugins:']),
    ...[...plugins].map(([type, names]) => ` ${type}:\t\t${names.join(', ')}`),
    `Engine Version:\t\t${engine?.EngineVersion ?? ''}`,
    ...pairLines('Engine Labels', engine?.Labels ?? {}, '- '),
  ];
}

function certificateLines({ Description: { TLSInfo: info } }: WireNode): string[] {
  if (!info?.TrustRoot) return [];
  return [
    'TLS Info:',
    ' TrustRoot:',
    info.TrustRoot,
    ` Issuer Subject:\t${info.CertIssuerSubject ?? ''}`,
    ` Issuer Public Key:\t${info.CertIssuerPublicKey ?? ''}`,
  ];
}
