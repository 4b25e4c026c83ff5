/** A container as the API's list has it, and its ports as a table shows them. */
interface WirePort {
  readonly IP?: string;
  readonly PrivatePort: number;
  readonly PublicPort?: number;
  readonly Type: string;
}

export interface WireContainer {
  readonly Id: string;
  readonly Names: readonly string[];
  readonly Image: string;
  readonly ImageID: string;
  readonly Command: string;
  readonly Created: number;
  readonly Status: string;
  readonly State: string;
  readonly Ports: readonly WirePort[];
  readonly Labels: Readonly<Record<string, string>>;
  readonly SizeRw?: number;
  readonly SizeRootFs?: number;
  readonly NetworkSettings: { readonly Networks: Readonly<Record<string, unknown>> };
  readonly Mounts: readonly { readonly Source: string }[];
}

const shortLength = 12;

/** As a table shows it: a name without its digest, an id shortened. */
export function imageText({ Image, ImageID }: Pick<WireContainer, 'Image' | 'ImageID'>): string {
  const hash = (text: string) => text.replace(/^sha256:/, '').slice(0, shortLength);
  return hash(Image) === hash(ImageID) ? hash(Image) : Image.replace(/@.*$/, '');
}

interface PortGroup {
  /** Empty for ports that are only exposed. */
  readonly ip: string;
  readonly type: string;
  readonly first: number;
  last: number;
}

/**
 * "5000-5003/tcp, 0.0.0.0:9000->9000/udp, 0.0.0.0:8080->80/tcp": as Docker's CLI has it, ports that
 * follow each other are one range where they are the same outside; those that are not come last.
 */
export function portsText(ports: readonly WirePort[]): string {
  const open = new Map<string, PortGroup>();
  const groups: PortGroup[] = [];
  const moved: string[] = [];
  for (const { IP = '', PrivatePort: port, PublicPort: published = 0, Type: type } of inOrder(
    ports,
  )) {
    if (published !== 0 && published !== port) {
      moved.push(`${address(IP)}:${published}->${port}/${type}`);
      continue;
    }
    const ip = published === 0 ? '' : IP;
    const key = `${ip}/${type}`;
    const group = open.get(key);
    if (group?.last === port - 1) {
      group.last = port;
      continue;
    }
    // A range that is over stays before those that are still open.
    if (group !== undefined) groups.push(group);
    open.set(key, { ip, type, first: port, last: port });
  }
  return [...[...groups, ...open.values()].map(groupText), ...moved].join(', ');
}

function groupText({ ip, type, first, last }: PortGroup): string {
  const range = first === last ? String(first) : `${first}-${last}`;
  return ip === '' ? `${range}/${type}` : `${address(ip)}:${range}->${range}/${type}`;
}

function address(ip: string): string {
  return ip.includes(':') ? `[${ip}]` : ip;
}

function inOrder(ports: readonly WirePort[]): readonly WirePort[] {
  const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
  return ports.toSorted(
    (a, b) =>
      a.PrivatePort - b.PrivatePort ||
      compare(a.IP ?? '', b.IP ?? '') ||
      (a.PublicPort ?? 0) - (b.PublicPort ?? 0) ||
      compare(a.Type, b.Type),
  );
}
