/** `node inspect --pretty`. */
import type { WireNode } from '../client/wire.ts';
import { entryLines, pairLines, timeLine } from '../format/pretty.ts';
import { capitalized, humanBinarySize } from '../format/units.ts';

export function prettyNode(node: WireNode): string {
  const { Description: about, ManagerStatus: manager, Spec: spec, Status: status } = node;
  const resources = about.Resources ?? {};
  const plugins = new Map<string, string[]>();
  for (const { Type, Name } of about.Engine?.Plugins ?? []) {
    plugins.set(Type, [...(plugins.get(Type) ?? []), Name]);
  }
  const certificate = about.TLSInfo;
  return [
    ...entryLines('', [
      ['ID', node.ID],
      ['Name', spec.Name],
    ]),
    ...pairLines('', 'Labels', spec.Labels ?? {}),
    ...entryLines('', [
      ['Hostname', about.Hostname],
      ['Joined at', timeLine(node.CreatedAt)],
      ['Status', ''],
    ]),
    ...entryLines(' ', [
      ['State', capitalized(status.State)],
      ['Message', status.Message],
      ['Availability', capitalized(spec.Availability)],
      ['Address', status.Addr],
    ]),
    ...(manager === undefined
      ? []
      : [
          'Manager Status:',
          ...entryLines(' ', [
            ['Address', manager.Addr],
            ['Raft Status', capitalized(manager.Reachability ?? '')],
            ['Leader', manager.Leader ? 'Yes' : 'No'],
          ]),
        ]),
    'Platform:',
    ...entryLines(' ', [
      ['Operating System', about.Platform?.OS],
      ['Architecture', about.Platform?.Architecture],
    ]),
    'Resources:',
    ...entryLines(' ', [
      ['CPUs', String((resources.NanoCPUs ?? 0) / 1e9)],
      ['Memory', humanBinarySize(resources.MemoryBytes ?? 0)],
    ]),
    ...(plugins.size === 0 ? [] : ['Plugins:']),
    ...entryLines(
      ' ',
      [...plugins].map(([type, names]) => [type, names.join(', ')] as const),
    ),
    ...entryLines('', [['Engine Version', about.Engine?.EngineVersion]]),
    ...pairLines('', 'Engine Labels', about.Engine?.Labels ?? {}),
    ...(certificate === undefined
      ? []
      : [
          'TLS Info:',
          ' TrustRoot:',
          (certificate.TrustRoot ?? '').trimEnd(),
          '',
          ` Issuer Subject:\t${certificate.CertIssuerSubject ?? ''}`,
          ` Issuer Public Key:\t${certificate.CertIssuerPublicKey ?? ''}`,
        ]),
  ].join('\n');
}
