/** The filters of `docker ps`. */
import { SwarmError } from '../lib/errors.ts';
import {
  containerStatuses,
  type ConnectedNetwork,
  type ContainerView,
} from '../worker/container/view.ts';
import type { Image } from '../worker/image/images.ts';
import type { Filters } from './filters.ts';

export const containerFilterKeys = [
  'ancestor',
  'before',
  'exited',
  'expose',
  'health',
  'id',
  'is-task',
  'isolation',
  'label',
  'name',
  'network',
  'publish',
  'since',
  'status',
  'volume',
];

/** Throws `invalid-argument` for a value that cannot be meant, and for one that is not there. */
export function containerMatcher(
  filters: Filters,
  all: readonly ContainerView[],
  images: readonly Image[],
): (view: ContainerView) => boolean {
  checkValues(filters);
  const before = boundary(filters, 'before', all);
  const since = boundary(filters, 'since', all);
  const ancestors = ancestorsOf(filters, images);
  return (view) => {
    const { record, state, ports } = view;
    return (
      record.createdAtMs < before &&
      record.createdAtMs > since &&
      filters.any('id', (id) => record.id.startsWith(id)) &&
      filters.any('name', (name) => matchesName(record.name, name)) &&
      filters.labels('label', record.config.labels ?? {}) &&
      filters.any('status', (status) => status === state.status) &&
      filters.any('exited', (code) => isOver(view) && Number(code) === state.exitCode) &&
      filters.any('health', (health) => health === (state.health?.status ?? 'none')) &&
      filters.any('is-task', (value) => isTrue(value) === (view.taskId !== undefined)) &&
      filters.any('network', (network) => isOn(view, network)) &&
      filters.any('volume', (path) =>
        view.mounts.some(({ mount }) => mount.target === path || mount.source === path),
      ) &&
      filters.any('publish', (port) =>
        ports.some((one) => one.hostPort !== undefined && inRange(port, one.hostPort, one)),
      ) &&
      filters.any('expose', (port) => ports.some((one) => inRange(port, one.containerPort, one))) &&
      (ancestors === undefined || ancestors.has(record.imageId))
    );
  };
}

/** "80", "80-90", "53/udp". */
const portsPattern = /^\d{1,5}(?:-\d{1,5})?(?:\/(?:tcp|udp|sctp))?$/;

function checkValues(filters: Filters): void {
  const checks: readonly [string, (value: string) => boolean][] = [
    ['status', (value) => (containerStatuses as readonly string[]).includes(value)],
    ['exited', (value) => /^\d+$/.test(value)],
    ['health', (value) => ['starting', 'healthy', 'unhealthy', 'none'].includes(value)],
    ['is-task', (value) => ['true', 'false', '1', '0'].includes(value)],
    ['publish', (value) => portsPattern.test(value)],
    ['expose', (value) => portsPattern.test(value)],
  ];
  for (const [key, isValid] of checks) {
    const wrong = filters.get(key).find((value) => !isValid(value));
    if (wrong !== undefined) {
      throw new SwarmError('invalid-argument', `invalid filter '${key}=${wrong}'`);
    }
  }
}

function boundary(
  filters: Filters,
  key: 'before' | 'since',
  all: readonly ContainerView[],
): number {
  const [wanted] = filters.get(key);
  if (wanted === undefined) return key === 'before' ? Infinity : -Infinity;
  const found = all.find(
    ({ record }) => record.name === wanted.replace(/^\//, '') || record.id.startsWith(wanted),
  );
  if (found !== undefined) return found.record.createdAtMs;
  throw new SwarmError('not-found', `No such container: ${wanted}`);
}

/** Of images, and of those that begin with the same layers: an image counts as its own ancestor. */
function ancestorsOf(filters: Filters, images: readonly Image[]): Set<string> | undefined {
  if (!filters.has('ancestor')) return undefined;
  const wanted = filters
    .get('ancestor')
    .flatMap((name) => images.filter((one) => isNamed(one, name)));
  const isDescendant = (image: Image) => {
    const layers = layersOf(image);
    return wanted.some((one) => layersOf(one).every((layer, index) => layers[index] === layer));
  };
  return new Set(images.filter(isDescendant).map(({ id }) => id));
}

function isNamed({ id, repoTags, repoDigests }: Image, name: string): boolean {
  const tagged = name.lastIndexOf(':') > name.lastIndexOf('/') ? name : `${name}:latest`;
  const short = name.replace(/^sha256:/, '');
  return (
    repoTags.includes(tagged) ||
    repoDigests.includes(name) ||
    (short.length > 0 && id.replace(/^sha256:/, '').startsWith(short))
  );
}

function layersOf({ rawConfig }: Image): readonly string[] {
  const rootfs = rawConfig['rootfs'] as { readonly diff_ids?: readonly string[] } | undefined;
  return rootfs?.diff_ids ?? [];
}

/** Docker takes a name for a regular expression; what is none is a part of the name. */
function matchesName(name: string, wanted: string): boolean {
  if (name.includes(wanted) || `/${name}` === wanted) return true;
  try {
    const pattern = new RegExp(wanted);
    return pattern.test(name) || pattern.test(`/${name}`);
  } catch (error) {
    if (error instanceof SyntaxError) return false;
    throw error;
  }
}

function isOver({ state }: ContainerView): boolean {
  return state.status === 'exited' || state.status === 'dead';
}

function isTrue(value: string): boolean {
  return value === 'true' || value === '1';
}

/** "80", "80/udp", "8000-8080/tcp". */
function inRange(text: string, port: number, { protocol }: { readonly protocol: string }): boolean {
  const [, first = '', last = first, wanted = 'tcp'] =
    /^(\d+)(?:-(\d+))?(?:\/(\w+))?$/.exec(text) ?? [];
  if (first === '') throw new SwarmError('invalid-argument', `invalid port "${text}"`);
  return protocol === wanted && port >= Number(first) && port <= Number(last);
}

function isOn({ record, networks }: ContainerView, reference: string): boolean {
  const isNamed = ({ name, networkId }: ConnectedNetwork) =>
    name === reference || networkId === reference;
  return (
    reference === record.host.networkMode ||
    record.networks.some(({ network }) => network === reference) ||
    networks.some(isNamed)
  );
}
