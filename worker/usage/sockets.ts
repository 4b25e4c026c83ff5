/** The TCP connections of a network namespace, from what the kernel tells of it in /proc. */
const established = '01';
const listening = '0A';

/** Connections of others to ports that somebody in the namespace listens on. */
export function openConnections(tables: readonly string[]): number {
  const sockets = tables.flatMap(parse);
  const ports = new Set(
    sockets.filter(({ state }) => state === listening).map(({ localPort }) => localPort),
  );
  return sockets.filter(
    ({ state, localPort, peer }) =>
      state === established && ports.has(localPort) && !isLoopback(peer),
  ).length;
}

/** How many connections it has accepted so far; undefined where the text does not say. */
export function acceptedConnections(snmp: string): number | undefined {
  const [names, values] = snmp.split('\n').filter((line) => line.startsWith('Tcp: '));
  const at = names?.split(' ').indexOf('PassiveOpens') ?? -1;
  const value = at < 0 ? NaN : Number(values?.split(' ')[at]);
  return Number.isInteger(value) ? value : undefined;
}

interface Socket {
  readonly localPort: string;
  /** As the kernel writes it: hexadecimal, in words of the host's order of bytes. */
  readonly peer: string;
  readonly state: string;
}

/** "sl local:port peer:port state …" a line, below one of titles. */
function parse(table: string): Socket[] {
  return table.split('\n').flatMap((line) => {
    const match = /^ *\d+: [0-9A-F]+:([0-9A-F]{4}) ([0-9A-F]+):[0-9A-F]{4} ([0-9A-F]{2}) /.exec(
      line,
    );
    const [, localPort, peer, state] = match ?? [];
    if (localPort === undefined || peer === undefined || state === undefined) return [];
    return [{ localPort, peer, state }];
  });
}

/** 127.0.0.0/8, also within IPv6, and ::1; in both orders of bytes. */
function isLoopback(peer: string): boolean {
  if (peer.length === 8) return isLoopbackV4(peer);
  const words = peer.match(/.{8}/g) ?? [];
  const [first, second, third, last = ''] = words;
  if (first !== '00000000' || second !== '00000000') return false;
  if (third === '00000000') return last === '01000000' || last === '00000001';
  return (third === 'FFFF0000' || third === '0000FFFF') && isLoopbackV4(last);
}

/** A word of /proc is shown as a number: on little-endian machines its first byte comes last. */
function isLoopbackV4(word: string): boolean {
  return littleEndian ? word.endsWith('7F') : word.startsWith('7F');
}

const littleEndian = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;
