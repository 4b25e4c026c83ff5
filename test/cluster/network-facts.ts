/** What a host has of the swarm's networks, read with the tools that people use. */
import type { Host } from '../lab/index.ts';

export interface HostFacts {
  /** A line each, in the words of network-tables.ts. */
  readonly facts: ReadonlySet<string>;
  /** The addresses of each network's bridge, by the network's id. */
  readonly bridges: ReadonlyMap<string, readonly string[]>;
}

interface Entry {
  readonly mac: string;
  readonly dst?: string;
  readonly master?: string;
  readonly flags?: readonly string[];
  readonly state?: string;
}

interface Neighbour {
  readonly dst: string;
  readonly lladdr?: string;
  readonly state?: readonly string[];
}

interface Interface {
  readonly ifname: string;
  readonly addr_info: readonly {
    readonly local?: string;
    readonly prefixlen?: number;
    readonly scope?: string;
  }[];
}

interface Route {
  readonly dst: string;
  readonly table?: string;
  readonly type?: string;
}

interface Rule {
  readonly fwmark?: string;
  readonly table: string;
}

/** Of IPv4 and of IPv6: routes of all tables, and the rules. */
type AllRoutes = readonly [readonly Route[], readonly Rule[], readonly Route[], readonly Rule[]];

interface Bridged {
  readonly ifname: string;
  readonly flags: readonly string[];
  readonly master?: string;
  readonly linkinfo?: { readonly info_data?: { readonly id?: number } };
}

interface Ruleset {
  readonly nftables: readonly {
    readonly map?: { readonly name: string; readonly elem?: readonly [unknown, unknown][] };
    readonly set?: { readonly name: string; readonly elem?: readonly unknown[] };
  }[];
}

interface Concat {
  readonly concat: readonly (string | number)[];
}

/** `names`: what each container asks its resolver, by the container's id. */
export async function factsOfHost(
  host: Host,
  names: ReadonlyMap<string, readonly string[]>,
): Promise<HostFacts> {
  const all = ['sh', '-c', script(host.runRoot, names), 'sh', inNetwork, inContainer];
  const output = await host.exec(all);
  const facts = new Set<string>();
  const bridges = new Map<string, readonly string[]>();
  const networked = new Set<string>();
  for (const line of output.split('\n')) {
    const [kind, id = '', ...rest] = line.split(' ');
    const text = rest.join(' ');
    const add = (fact: string) => facts.add(fact);
    if (kind === 'network') add(`network ${id}`);
    if (kind === 'links') links(text).forEach((fact) => add(`network ${id}: ${fact}`));
    if (kind === 'ports') ports(text).forEach((fact) => add(`network ${id}: ${fact}`));
    if (kind === 'fdb') entries(text).forEach((fact) => add(`network ${id}: ${fact}`));
    if (kind === 'neigh') neighbours(text).forEach((fact) => add(`network ${id}: ${fact}`));
    if (kind === 'bridge') bridges.set(id, addresses(text));
    if (kind === 'address') {
      const own = addresses(text);
      own.forEach((cidr) => add(`container ${id} has ${cidr}`));
      if (own.length > 0) networked.add(id);
    }
    // Of containers on no network of the swarm nothing is said.
    if (kind === 'route' && networked.has(id)) {
      const [all4, rules4, all6, rules6] = JSON.parse(text) as AllRoutes;
      for (const fact of [...routes(all4, rules4), ...routes(all6, rules6, ' by IPv6')]) {
        add(`container ${id} ${fact}`);
      }
    }
    if (kind === 'host') published(text).forEach((fact) => add(`host ${fact} by ${id}`));
    if (kind === 'mesh') mesh(text).forEach((fact) => add(`mesh ${fact}`));
    if (kind === 'nft') balance(text).forEach((fact) => add(`container ${id} ${fact}`));
    if (kind === 'name') {
      const [name = '', ...found] = rest;
      add(`container ${id} finds ${name} at ${found.filter(Boolean).toSorted().join(', ')}`);
    }
  }
  return { facts, bridges };
}

/** One run on the host prints everything, a line each: $1 in each network, $2 in each container. */
function script(runRoot: string, names: ReadonlyMap<string, readonly string[]>): string {
  const asked = [...names].map(([id, all]) => `${id}) names="${all.join(' ')}";;`).join('\n');
  return `
set -f
cd ${runRoot}
echo "host IPv4" $(nft -j list set inet ts_swarm_mesh published 2>/dev/null)
echo "host IPv6" $(nft -j list set inet ts_swarm_mesh published6 2>/dev/null)
for id in $(ls overlay); do
  echo "network $id"
  nsenter --net=overlay/$id sh -c "$1" sh $id
done
for id in $(ls netns); do
  names=
  case $id in
    ${asked}
    *) ;;
  esac
  nsenter --net=netns/$id sh -c "$2" sh $id $names
done
true`;
}

// A namespace is entered once for all that is asked in it: this runs often, and the starts of
// programs are all that it costs. Unquoted, what a program prints becomes one line.
const inNetwork = `
set -f
echo "links $1" $(ip -j -d link show)
echo "ports $1 [" $(ip -j link show dev br0) , $(bridge -j fdb show br br0) ]
echo "fdb $1" $(bridge -j fdb show dev vxlan0)
echo "neigh $1" $(ip -j neighbour show dev vxlan0 nud all)
echo "mesh $1" $(nft -j list maps)
echo "bridge $1" $(ip -j address show dev br0)`;

const inContainer = `
set -f
id=$1
shift
echo "address $id" $(ip -j address)
all4=$(ip -j -4 route show table all) rules4=$(ip -j -4 rule)
all6=$(ip -j -6 route show table all) rules6=$(ip -j -6 rule)
echo "route $id [" $all4 , $rules4 , $all6 , $rules6 ]
echo "nft $id" $(nft -j list table inet ts_swarm 2>/dev/null)
for name in "$@"; do
  found=$(busybox nslookup -type=a $name 127.0.0.11 | sed -n '3,$s/^Address: //p')
  echo name $id $name $found
done`;

/** Of a network's namespace: what is up in its bridge, and the number that its packets carry. */
function links(text: string): readonly string[] {
  const up = (JSON.parse(text || '[]') as Bridged[]).filter(({ flags }) => flags.includes('UP'));
  return up.flatMap(({ ifname, master, linkinfo }) => {
    if (ifname === 'br0') return ['the bridge is up'];
    if (ifname !== 'vxlan0' || master !== 'br0') return [];
    return [`the tunnel ${linkinfo?.info_data?.id} is up in the bridge`];
  });
}

/** What the bridge leads to containers of this host: those that share it, and those with a port. */
function ports(text: string): readonly string[] {
  const [links, all] = JSON.parse(text) as readonly [
    readonly { readonly address: string }[],
    readonly (Entry & { readonly ifname: string })[],
  ];
  return all
    .filter(({ ifname, state, master, mac }) => {
      if (ifname !== 'br0') return ifname.startsWith('port') && state === 'static';
      const isOwn = links.some(({ address }) => address === mac);
      return master !== undefined && state === 'permanent' && !isOwn;
    })
    .map(({ mac }) => `the bridge leads ${mac} to a container`);
}

/** Where a container sends packets, and how its replies by the routing mesh find back. */
function routes(all: readonly Route[], rules: readonly Rule[], family = ''): readonly string[] {
  const through = all.filter(({ type, dst }) => type === undefined && !/^(172\.|fe80:)/.test(dst));
  const main = through.filter(({ table }) => table === undefined);
  const mesh = through.some(({ table, dst }) => table === '200' && dst === 'default');
  const marked = rules.some(({ table, fwmark }) => table === '200' && fwmark !== undefined);
  return [
    ...main.map(({ dst }) => `has a route to ${dst}${dst === 'default' ? family : ''}`),
    ...(mesh && marked ? [`sends replies back by the mesh${family}`] : []),
  ];
}

function entries(text: string): readonly string[] {
  return (JSON.parse(text || '[]') as Entry[]).flatMap(({ mac, dst, master, state }) => {
    if (dst !== undefined) return [`${mac} is at ${dst}`];
    return master !== undefined && state === 'static' ? [`the bridge sends ${mac} out`] : [];
  });
}

function neighbours(text: string): readonly string[] {
  return (JSON.parse(text || '[]') as Neighbour[])
    .filter(({ state }) => state?.includes('PERMANENT'))
    .map(({ dst, lladdr }) => `${dst} is ${lladdr}`);
}

/** Of the swarm's networks; the gateway bridge's are another matter. */
function addresses(text: string): readonly string[] {
  return (JSON.parse(text || '[]') as Interface[])
    .filter(({ ifname }) => ifname !== 'lo')
    .flatMap(({ addr_info: all }) => all)
    .filter(({ local, scope }) => scope === 'global' && local?.startsWith('172.') !== true)
    .map(({ local, prefixlen }) => `${local}/${prefixlen}`);
}

function balance(text: string): readonly string[] {
  const facts: string[] = [];
  for (const { map, set } of (JSON.parse(text || '{"nftables":[]}') as Ruleset).nftables) {
    if (map !== undefined && /^backends[46]$/.test(map.name)) {
      for (const [key, backend] of map.elem ?? []) {
        const [vip] = (key as Concat).concat;
        facts.push(`leads ${vip} to ${String(backend)}`);
      }
    }
    if (set !== undefined && /^idle[46]$/.test(set.name))
      for (const vip of set.elem ?? []) facts.push(`refuses ${String(vip)}`);
  }
  return facts;
}

/** Of published ports, where the routing mesh chooses a task: port, service's number, backend. */
function mesh(text: string): readonly string[] {
  const { nftables } = JSON.parse(text || '{"nftables":[]}') as Ruleset;
  const elements = (name: string) => {
    const found = nftables.find(({ map }) => map?.name === name)?.map?.elem ?? [];
    return found.map(([key, data]) => [(key as Concat).concat, String(data)] as const);
  };
  const targets = new Map(elements('targets').map(([key, target]) => [key.join(' '), target]));
  const backends = [...elements('backends4'), ...elements('backends6')];
  return elements('ports').flatMap(([key, service]) =>
    backends
      .filter(([[number]]) => Number(number) === swapped(Number(service)))
      .map(([, backend]) => {
        const port = key.join(' ');
        return `leads ${port} to ${backend}:${targets.get(port)}`;
      }),
  );
}

/** A number that is the data of a map: nft shows its bytes the other way round. */
function swapped(number: number): number {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(number);
  return bytes.readUInt32BE();
}

/** Of published ports, where the host leads them into the routing mesh. */
function published(text: string): readonly string[] {
  const { nftables } = JSON.parse(text || '{"nftables":[]}') as Ruleset;
  return nftables.flatMap(({ set }) =>
    (set?.elem ?? []).map((key) => `publishes ${(key as Concat).concat.join(' ')}`),
  );
}
