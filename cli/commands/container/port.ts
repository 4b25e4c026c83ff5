import { connect } from '../../client/index.ts';
import { between, type Command } from '../../command/command.ts';
import { commandError } from '../../command/errors.ts';
import { findTarget } from '../../container/target.ts';
import { naturalCompare } from '../../format/units.ts';

export const command: Command = {
  usage: 'CONTAINER [PRIVATE_PORT[/PROTO]]',
  flags: [],
  args: between(1, 2),
  async run(context, [reference = '', wanted]) {
    const { container } = await findTarget(connect(context), reference, 'container');
    const ports = container.NetworkSettings?.Ports ?? {};
    const addresses = (key: string) =>
      (ports[key] ?? []).map(({ HostIp, HostPort }) =>
        HostIp.includes(':') ? `[${HostIp}]:${HostPort}` : `${HostIp}:${HostPort}`,
      );
    if (wanted === undefined) {
      const lines = Object.keys(ports).flatMap((key) =>
        addresses(key).map((address) => `${key} -> ${address}`),
      );
      for (const line of lines.toSorted(naturalCompare)) context.out.line(line);
      return;
    }
    const found = addresses(wanted.includes('/') ? wanted : `${wanted}/tcp`);
    if (found.length === 0) {
      throw commandError(`no public port '${wanted}' published for ${reference}`);
    }
    for (const address of found) context.out.line(address);
  },
};
