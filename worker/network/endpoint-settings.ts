/** Settings of the kernel that a container's interface on a network is to have, as people ask. */
import { writeFileSync } from 'node:fs';
import { messageOf, SwarmError } from '../../lib/errors.ts';
import { interfaceName, positionOf } from './container-interfaces.ts';
import { inNamespace } from './namespace.ts';
import type { AttachedContainer, NetworkPart, Repair } from './part.ts';

/** Docker's option of an endpoint: "net.ipv4.conf.IFNAME.log_martians=1", several with commas. */
export const sysctlsOption = 'com.docker.network.endpoint.sysctls';

interface InterfaceSetting {
  /** As it was asked for. */
  readonly text: string;
  readonly family: string;
  readonly group: string;
  readonly name: string;
  readonly value: string;
}

const settingForm = /^net\.(ipv4|ipv6|mpls)\.(conf|neigh)\.IFNAME\.([a-z0-9_]+)=([-0-9a-f:. ]*)$/;

/** Throws `invalid-argument` for what is no setting of an interface. */
export function parseSettings(option: string): readonly InterfaceSetting[] {
  return option.split(',').map((text) => {
    const [, family = '', group = '', name = '', value = ''] = settingForm.exec(text.trim()) ?? [];
    if (family !== '') return { text: text.trim(), family, group, name, value };
    throw new SwarmError(
      'invalid-argument',
      `unrecognised network interface sysctl "${text}": write net.X.Y.ethN.Z=V as ` +
        'net.X.Y.IFNAME.Z=V',
    );
  });
}

/** Writes them when the container comes to the network; what it changes itself later is its own. */
export class EndpointSettings implements NetworkPart {
  readonly #written = new Set<string>();

  attached(container: AttachedContainer): Promise<void> {
    for (const { networkId, driverOpts } of container.networks) {
      const option = driverOpts?.[sysctlsOption];
      const key = keyOf(container.id, networkId);
      if (option === undefined || this.#written.has(key)) continue;
      const link = interfaceName(positionOf(container.networks, networkId));
      inNamespace(container.netnsPath, () => {
        for (const setting of parseSettings(option)) write(setting, link);
      });
      this.#written.add(key);
    }
    return Promise.resolve();
  }

  left(containerId: string, networkId: string): Promise<void> {
    this.#written.delete(keyOf(containerId, networkId));
    return Promise.resolve();
  }

  detached(containerId: string): Promise<void> {
    for (const key of this.#written) {
      if (key.startsWith(`${containerId}/`)) this.#written.delete(key);
    }
    return Promise.resolve();
  }

  changed(): Promise<void> {
    return Promise.resolve();
  }

  audit(): Promise<readonly Repair[]> {
    return Promise.resolve([]);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}

function write({ text, family, group, name, value }: InterfaceSetting, link: string): void {
  try {
    writeFileSync(`/proc/sys/net/${family}/${group}/${link}/${name}`, value);
  } catch (error) {
    throw new SwarmError(
      'failed-precondition',
      `the kernel does not take the setting ${text} of a container's interface: ` +
        messageOf(error),
      { cause: error },
    );
  }
}

function keyOf(containerId: string, networkId: string): string {
  return `${containerId}/${networkId}`;
}
