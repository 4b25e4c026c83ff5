/** The little languages in the values of `run`'s flags. Each throws an Error that says what is wrong. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { messageOf } from '../../lib/errors.ts';
import { isDeviceName } from '../../types/index.ts';
import { parseBytes, parseCsv, splitPair } from '../format/parse.ts';
import { pairsOf, type EndpointDraft } from './draft.ts';

export interface PortDraft {
  /** "80/tcp". */
  readonly key: string;
  readonly binding: { readonly HostIp: string; readonly HostPort: string };
}

/** `[address:][host port:]port[/protocol]`, each a range as well. */
export function parsePort(text: string): readonly PortDraft[] {
  const [ports = '', protocol = 'tcp'] = text.split('/', 2);
  if (!['tcp', 'udp', 'sctp'].includes(protocol.toLowerCase())) {
    throw new Error(`invalid proto: ${protocol}`);
  }
  const found = /^(?:(?:\[([0-9a-f:.%]+)\]|([^:[\]]*)):)?(?:([\d-]*):)?([\d-]+)$/i.exec(ports);
  if (found === null) throw new Error(`invalid containerPort: ${ports}`);
  const [, v6, v4, published = '', target = ''] = found;
  // With one colon alone, what is before it is a port.
  const hasAddress = ports.split(':').length > 2 || v6 !== undefined;
  const address = hasAddress ? (v6 ?? v4 ?? '') : '';
  const hostPorts = hasAddress ? published : (v4 ?? published);
  const targets = range(target, 'containerPort');
  if (hostPorts !== '' && !/^[\d-]+$/.test(hostPorts)) {
    throw new Error(`invalid hostPort: ${hostPorts}`);
  }
  const hosts = hostPorts === '' ? [] : range(hostPorts, 'hostPort');
  if (targets.length === 1 && hosts.length > 1) {
    // The daemon takes one of them that is free.
    return [portOf(target, protocol, address, hostPorts)];
  }
  if (hosts.length > 0 && hosts.length !== targets.length) {
    throw new Error(
      `invalid ranges specified for container and host Ports: ${target} and ${hostPorts}`,
    );
  }
  return targets.map((port, at) =>
    portOf(String(port), protocol, address, hosts[at] === undefined ? '' : String(hosts[at])),
  );
}

function portOf(port: string, protocol: string, HostIp: string, HostPort: string): PortDraft {
  return { key: `${port}/${protocol.toLowerCase()}`, binding: { HostIp, HostPort } };
}

function range(text: string, what: string): number[] {
  const [first = '', last = first] = text.split('-', 2);
  const [from, to] = [Number(first), Number(last)];
  const isPort = (port: number) => Number.isInteger(port) && port > 0 && port < 65_536;
  if (first === '' || !isPort(from) || !isPort(to) || to < from) {
    throw new Error(`invalid ${what}: ${text}`);
  }
  return Array.from({ length: to - from + 1 }, (_, at) => from + at);
}

/** The keys of `--expose`: `80`, `80/udp`, `8000-8010`. */
export function parseExpose(text: string): readonly string[] {
  const [ports = '', protocol = 'tcp'] = text.split('/', 2);
  if (ports.includes(':')) throw new Error(`invalid port format for --expose: ${text}`);
  return range(ports, 'port').map((port) => `${port}/${protocol}`);
}

/** `/path` alone is a volume without a name; a path of this host may be relative. */
export function parseVolume(text: string): { readonly bind?: string; readonly volume?: string } {
  if (!text.includes(':')) {
    if (!text.startsWith('/')) throw new Error(`invalid volume specification: '${text}'`);
    return { volume: text };
  }
  const [source = '', ...rest] = text.split(':');
  if (source === '' || rest[0] === '' || rest.length > 2) {
    throw new Error(`invalid volume specification: '${text}'`);
  }
  const isPath = /^\.{1,2}(?:\/|$)/.test(source);
  return { bind: [isPath ? resolve(source) : source, ...rest].join(':') };
}

/** `/dev/a[:/dev/b[:rwm]]`; a vendor's device, `vendor.com/gpu=0`, stays a name. */
export function parseDevice(text: string) {
  if (isDeviceName(text)) return text;
  const [host = '', second, third] = text.split(':', 3);
  const isMode = (word: string) => /^[rwm]{1,3}$/.test(word);
  const permissions = third ?? (second !== undefined && isMode(second) ? second : 'rwm');
  if (!isMode(permissions)) throw new Error(`invalid device specification: ${text}`);
  const inside = second === undefined || (third === undefined && isMode(second)) ? host : second;
  return { PathOnHost: host, PathInContainer: inside || host, CgroupPermissions: permissions };
}

/** Bytes, or -1 for no limit. */
export function parseSwap(text: string): number {
  return text === '-1' ? -1 : parseBytes(text);
}

/** `/dev/sda:500`. */
export function parseWeight(text: string) {
  const [Path, weight = ''] = splitPair(text, ':');
  if (!Path.startsWith('/dev/')) throw new Error(`bad format for device path: ${text}`);
  if (!/^\d+$/.test(weight)) throw new Error(`invalid weight for device: ${text}`);
  return { Path, Weight: Number(weight) };
}

/** `/dev/sda:10mb`; in operations a second, a plain number. */
export function parseRate(text: string) {
  const [Path, rate = ''] = splitPair(text, ':');
  if (!Path.startsWith('/dev/')) throw new Error(`bad format for device path: ${text}`);
  return { Path, Rate: parseBytes(rate) };
}

/** `no`, `always`, `unless-stopped`, `on-failure[:times]`. */
export function parseRestart(text: string) {
  const [Name, times] = splitPair(text, ':');
  if (times !== undefined && !/^\d+$/.test(times)) {
    throw new Error(`maximum retry count must be an integer`);
  }
  return { Name, MaximumRetryCount: Number(times ?? 0) };
}

/** `all`, a count, or `device=0,1`; one that says neither is for one GPU. */
export function parseGpus(text: string) {
  const fields = new Map<string, string>();
  for (const field of parseCsv(text)) {
    const [key, value] = splitPair(field);
    const name = value === undefined ? 'count' : key;
    if (!gpuKeys.includes(name)) throw new Error(`unexpected key '${key}' in '${field}'`);
    if (fields.has(name)) {
      throw new Error(`gpu request key '${name}' can be specified only once`);
    }
    fields.set(name, value ?? field);
  }
  const ids = fields.get('device')?.split(',');
  const count = fields.get('count') ?? (ids === undefined ? '1' : '0');
  if (count !== 'all' && !/^[-+]?\d{1,9}$/.test(count)) {
    throw new Error(`invalid count (${count}): value must be either "all" or an integer`);
  }
  const options = fields.get('options');
  return {
    Driver: fields.get('driver') ?? '',
    Count: count === 'all' ? -1 : Number(count),
    ...(ids === undefined ? {} : { DeviceIDs: ids }),
    Capabilities: [[...(fields.get('capabilities')?.split(',') ?? []), 'gpu']],
    Options: options === undefined ? {} : pairsOf(parseCsv(options)),
  };
}

const gpuKeys = ['driver', 'count', 'device', 'capabilities', 'options'];

/** A network's name, or `name=x,alias=y,ip=1.2.3.4`. */
export function parseNetwork(text: string): { readonly name: string; readonly at: EndpointDraft } {
  if (!text.includes('=')) return { name: text, at: {} };
  const at: EndpointDraft = {};
  let name = '';
  for (const field of parseCsv(text)) {
    const [key, value = ''] = splitPair(field);
    if (key === 'name') name = value;
    else if (key === 'alias') at.Aliases = [...(at.Aliases ?? []), value];
    else if (key === 'ip') at.IPAMConfig = { ...at.IPAMConfig, IPv4Address: value };
    else if (key === 'ip6') at.IPAMConfig = { ...at.IPAMConfig, IPv6Address: value };
    else if (key === 'mac-address') at.MacAddress = value;
    else if (key === 'gw-priority') at.GwPriority = priorityOf(value);
    else if (key === 'driver-opt') {
      const [option, text2 = ''] = splitPair(value);
      at.DriverOpts = { ...at.DriverOpts, [option]: text2 };
    } else throw new Error(`invalid field key ${key}`);
  }
  if (name === '') throw new Error('network name/id is not specified');
  return { name, at };
}

function priorityOf(text: string): number {
  if (/^-?\d{1,9}$/.test(text)) return Number(text);
  throw new Error(`invalid gw-priority: "${text}" is not a number`);
}

/** `seccomp=FILE` stands for what is in the file. */
export function parseSecurity(text: string): string {
  const [key, value] = splitPair(text.includes('=') ? text : text.replace(':', '='));
  if (key !== 'seccomp' || value === undefined) return text;
  if (['unconfined', 'builtin'].includes(value)) return text;
  try {
    return `seccomp=${JSON.stringify(JSON.parse(readFileSync(value, 'utf8')))}`;
  } catch (error) {
    throw new Error(`opening seccomp profile (${value}) failed: ${messageOf(error)}`, {
      cause: error,
    });
  }
}
