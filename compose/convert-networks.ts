/** `networks`, and how services are attached to them, under which names. */
import type { NetworkAttachment, NetworkSpec } from '../types/index.ts';
import { present } from './convert-deploy.ts';
import { externalName } from './convert-mounts.ts';
import type { Field, Reader } from './read.ts';
import { scoped, stackLabel, type StackNetwork } from './stack.ts';

/** Networks that every node has; a service has one of them alone. */
const builtIn = ['host', 'none', 'bridge'];

/** The networks that some service uses, the default one among them where one says nothing. */
export function convertNetworks(
  read: Reader,
  section: Field,
  services: Field,
  stack: string,
): ReadonlyMap<string, StackNetwork> {
  const wanted = new Set(read.entries(services).flatMap(([, service]) => namesOf(read, service)));
  const networks = new Map<string, StackNetwork>();
  for (const [key, field, at] of read.entries(section)) {
    const converted = convertNetwork(read, key, field, at, stack);
    if (wanted.has(key)) networks.set(key, converted);
  }
  if (wanted.has('default') && !networks.has('default')) {
    const at = services.node?.at ?? { file: '', line: 1, column: 1 };
    const name = scoped(stack, 'default');
    networks.set('default', { key: 'default', at, name, spec: plainSpec(name, stack) });
  }
  return networks;
}

function namesOf(read: Reader, service: Field): readonly string[] {
  if (read.at(service, 'network_mode').node !== undefined) return [];
  const networks = read.at(service, 'networks');
  if (networks.node?.kind !== 'mapping') return ['default'];
  const names = [...networks.node.entries.keys()].filter((key) => !key.startsWith('x-'));
  return names.length > 0 ? names : ['default'];
}

function convertNetwork(
  read: Reader,
  key: string,
  field: Field,
  at: StackNetwork['at'],
  stack: string,
): StackNetwork {
  const own = scoped(stack, key);
  if (field.node === undefined || !read.keys(field, 'networks.*')) {
    return { key, at, name: own, spec: plainSpec(own, stack) };
  }
  const given = read.text(read.at(field, 'name'));
  const external = externalName(read, field);
  if (external !== undefined) {
    return { key, at, name: external === '' ? (given ?? key) : external };
  }
  const name = given ?? own;
  const ipv4 = read.at(field, 'enable_ipv4');
  if (read.boolean(ipv4) === false) {
    read.problems.add(ipv4.node!.at, `${ipv4.name}: overlay networks have IPv4 addresses`);
  }
  const options = read.record(read.at(field, 'driver_opts'));
  const spec: NetworkSpec = {
    ...plainSpec(name, stack),
    driver: driverOf(read, field, options),
    labels: { ...read.record(read.at(field, 'labels')), [stackLabel]: stack },
    ...present({
      options: Object.keys(options).length > 0 ? options : undefined,
      enableIpv6: read.boolean(read.at(field, 'enable_ipv6')),
      internal: read.boolean(read.at(field, 'internal')),
      attachable: read.boolean(read.at(field, 'attachable')),
      ipam: ipamOf(read, read.at(field, 'ipam')),
    }),
  };
  return { key, at, name, spec };
}

function plainSpec(name: string, stack: string): NetworkSpec {
  return { name, driver: 'overlay', labels: { [stackLabel]: stack } };
}

/** Files for one host say `bridge` and mean a network; with its options they mean a bridge. */
function driverOf(read: Reader, field: Field, options: Readonly<Record<string, string>>): string {
  const driver = read.at(field, 'driver');
  const name = read.text(driver) ?? 'overlay';
  if (name !== 'bridge') return name === '' || name === 'default' ? 'overlay' : name;
  if (Object.keys(options).length > 0) {
    read.problems.add(
      driver.node!.at,
      `${driver.name}: a bridge with driver_opts is of one node alone; use overlay`,
    );
  } else {
    read.problems.warn(
      driver.node!.at,
      `${driver.name}: a bridge is of one node alone: the network becomes an overlay`,
    );
  }
  return 'overlay';
}

function ipamOf(read: Reader, field: Field): NetworkSpec['ipam'] {
  if (field.node === undefined || !read.keys(field, 'networks.*.ipam')) return undefined;
  const configs = read.items(read.at(field, 'config')).flatMap((item) => {
    if (!read.keys(item, 'networks.*.ipam.config')) return [];
    const auxiliary = read.record(read.at(item, 'aux_addresses'));
    return [
      present({
        subnet: read.text(read.at(item, 'subnet')),
        ipRange: read.text(read.at(item, 'ip_range')),
        gateway: read.text(read.at(item, 'gateway')),
        auxiliaryAddresses: Object.keys(auxiliary).length > 0 ? auxiliary : undefined,
      }),
    ];
  });
  const options = read.record(read.at(field, 'options'));
  return present({
    driver: read.text(read.at(field, 'driver')),
    configs: configs.length > 0 ? configs : undefined,
    options: Object.keys(options).length > 0 ? options : undefined,
  });
}

/** Names that a service has besides its own: container_name, and the aliases of links to it. */
export function namesBesides(read: Reader, services: Field): ReadonlyMap<string, string[]> {
  const names = new Map<string, string[]>();
  const add = (service: string, name: string) => {
    const known = names.get(service) ?? [];
    if (name !== service && !known.includes(name)) names.set(service, [...known, name]);
  };
  const all = read.entries(services);
  for (const [key, service] of all) {
    const field = read.at(service, 'container_name');
    const name = read.text(field);
    if (name !== undefined) {
      add(key, name);
      if (name !== key) {
        read.problems.warn(
          field.node!.at,
          `${field.name}: tasks have names of their own; "${name}" is a name on the networks`,
        );
      }
    }
    for (const link of read.items(read.at(service, 'links'))) {
      const [target = '', alias = target] = (read.text(link) ?? '').split(':', 2);
      if (all.some(([other]) => other === target)) add(target, alias);
      else read.problems.add(link.node!.at, `${link.name}: there is no service "${target}"`);
    }
  }
  return names;
}

interface AttachmentContext {
  readonly read: Reader;
  readonly stack: string;
  readonly networks: ReadonlyMap<string, StackNetwork>;
  readonly furtherNames: ReadonlyMap<string, readonly string[]>;
}

/** Sorted by name, as Docker's CLI sends them. */
export function convertAttachments(
  context: AttachmentContext,
  key: string,
  service: Field,
): readonly NetworkAttachment[] {
  const { read, networks } = context;
  const mode = read.at(service, 'network_mode');
  if (mode.node !== undefined) return modeAttachment(read, service, mode);
  const section = read.at(service, 'networks');
  const further = context.furtherNames.get(key) ?? [];
  const attachments = namesOf(read, service).flatMap((name): NetworkAttachment[] => {
    const field = read.at(section, name);
    const network = networks.get(name);
    if (network === undefined) {
      const at = section.node?.at ?? service.node!.at;
      read.problems.add(
        at,
        `${section.name}: there is no network "${name}": declare it under networks`,
      );
      return [];
    }
    if (builtIn.includes(network.name)) return [{ target: network.name }];
    read.keys(field, 'services.*.networks.*');
    const aliases = [...read.texts(read.at(field, 'aliases')), ...further, key];
    const options = read.record(read.at(field, 'driver_opts'));
    return [
      {
        target: network.name,
        aliases: [...new Set(aliases)],
        ...(Object.keys(options).length > 0 ? { driverOpts: options } : {}),
      },
    ];
  });
  return attachments.toSorted((a, b) => (a.target < b.target ? -1 : a.target > b.target ? 1 : 0));
}

function modeAttachment(read: Reader, service: Field, mode: Field): NetworkAttachment[] {
  const text = read.text(mode) ?? '';
  if (read.at(service, 'networks').node !== undefined) {
    read.problems.add(mode.node!.at, `${mode.name}: give either network_mode or networks`);
  }
  if (builtIn.includes(text)) return [{ target: text }];
  read.problems.add(
    mode.node!.at,
    `${mode.name}: "${text}" is not supported: a task shares its networks with no container; use ` +
      'host, none, or networks',
  );
  return [];
}
