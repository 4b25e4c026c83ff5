import { connect } from '../../client/index.ts';
import type { WireInfo, WireNode, WireTlsInfo } from '../../client/wire.ts';
import { noArgs, type Command } from '../../command/command.ts';
import { filterFlag, formatFlag } from '../../command/common-flags.ts';
import { bool } from '../../command/flags.ts';
import { printList, type Column } from '../../format/list.ts';
import { capitalized, naturalCompare } from '../../format/units.ts';
import { gatherFilters, listNodes } from '../../service/lookup.ts';

const quiet = bool('quiet', 'Only display IDs', { short: 'q' });

interface Row {
  readonly node: WireNode;
  readonly self: boolean;
  /** What every node's certificate should go back to. */
  readonly trusted: WireTlsInfo | undefined;
}

/** Whether the node has its certificate from the root that the swarm trusts now. */
function tlsStatus({ node, trusted }: Row): string {
  const own = node.Description.TLSInfo;
  if (trusted?.TrustRoot === undefined || own === undefined) return 'Unknown';
  const same =
    own.TrustRoot === trusted.TrustRoot &&
    own.CertIssuerSubject === trusted.CertIssuerSubject &&
    own.CertIssuerPublicKey === trusted.CertIssuerPublicKey;
  return same ? 'Ready' : 'Needs Rotation';
}

const columns: Readonly<Record<string, Column<Row>>> = {
  ID: { header: 'ID', value: ({ node }) => node.ID },
  Self: { header: '', value: ({ self }) => self },
  Hostname: { header: 'HOSTNAME', value: ({ node }) => node.Description.Hostname ?? '' },
  Status: { header: 'STATUS', value: ({ node }) => capitalized(node.Status.State) },
  Availability: {
    header: 'AVAILABILITY',
    value: ({ node }) => capitalized(node.Spec.Availability),
  },
  ManagerStatus: {
    header: 'MANAGER STATUS',
    value({ node: { ManagerStatus: status } }) {
      if (status === undefined) return '';
      return status.Leader ? 'Leader' : capitalized(status.Reachability ?? '');
    },
  },
  EngineVersion: {
    header: 'ENGINE VERSION',
    value: ({ node }) => node.Description.Engine?.EngineVersion ?? '',
  },
  TLSStatus: { header: 'TLS STATUS', value: tlsStatus },
};

/** The default table's first column; templates know `.ID` and `.Self`. */
const idAndSelf: Column<Row> = {
  header: 'ID',
  value: ({ node, self }) => `${node.ID} ${self ? '*' : ' '}`,
};

export const command: Command = {
  usage: '[OPTIONS]',
  flags: [filterFlag, formatFlag, quiet],
  args: noArgs,
  async run(context, _args, flags) {
    const client = connect(context);
    const [nodes, info] = await Promise.all([
      listNodes(client, gatherFilters(flags.get(filterFlag))),
      flags.get(quiet) ? undefined : client.get<WireInfo>('/info'),
    ]);
    const rows = nodes
      .map((node) => ({
        node,
        self: node.ID === info?.Swarm?.NodeID,
        trusted: info?.Swarm?.Cluster?.TLSInfo,
      }))
      .sort((a, b) =>
        naturalCompare(a.node.Description.Hostname ?? '', b.node.Description.Hostname ?? ''),
      );
    const format = flags.get(formatFlag) ?? '';
    await printList(context.out, {
      rows,
      columns: format === '' || format === 'table' ? { ...columns, IDAndSelf: idAndSelf } : columns,
      table: ['IDAndSelf', 'Hostname', 'Status', 'Availability', 'ManagerStatus', 'EngineVersion'],
      format,
      quiet: flags.get(quiet) ? ({ node }) => node.ID : undefined,
    });
  },
};
