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

/** "0.0.0.0:8080->80/tcp, 90/udp". */
export function portsText(ports: readonly WirePort[]): string {
  return ports
    .toSorted((a, b) => a.PrivatePort - b.PrivatePort || (a.PublicPort ?? 0) - (b.PublicPort ?? 0))
    .map(({ IP, PrivatePort, PublicPort, Type }) =>
      PublicPort === undefined
        ? `${PrivatePort}/${Type}`
        : `${IP}:${PublicPort}->${PrivatePort}/${Type}`,
    )
    .join(', ');
}
