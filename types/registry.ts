/** Registries as image names and people call them, and the swarm's own logins there. */

/** What the whole swarm may pull with from one registry. */
export interface RegistryLogin {
  /** "docker.io", "registry.example:5000": as in the names of images, in lower case. */
  readonly registry: string;
  /** Empty where an identity token says who it is. */
  readonly username: string;
  /** As in X-Registry-Auth: base64url JSON. Never shown. */
  readonly auth: string;
  readonly updatedAtMs: number;
}

const dockerHub = 'docker.io';
const hubNames: ReadonlySet<string> = new Set([
  '',
  dockerHub,
  'index.docker.io',
  'registry-1.docker.io',
]);

/** The registry that an image's name leads to. */
export function registryOfImage(image: string): string {
  const [first = '', ...rest] = image.split('/');
  const isHost = rest.length > 0 && (/[.:A-Z]/.test(first) || first === 'localhost');
  return registryName(isHost ? first : '');
}

/** From what people type: with or without a scheme and a path. */
export function registryName(typed: string): string {
  const host = typed
    .trim()
    .toLowerCase()
    .replace(/^[a-z]+:\/\//, '')
    .replace(/\/.*$/, '');
  return hubNames.has(host) ? dockerHub : host;
}
