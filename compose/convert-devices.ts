/** Generic resources, and the GPUs that files ask for as for one machine's. */
import { gpuCapabilities, gpuKind, type GenericResource } from '../types/index.ts';
import type { KeyPlace } from './keys.ts';
import type { Field, Reader } from './read.ts';

const place = 'services.*.deploy.resources.reservations';
const others = 'ask for other devices with deploy.resources.reservations.generic_resources';

/** Undefined where the service reserves none. */
export function convertDevices(
  read: Reader,
  service: Field,
  reserved: Field,
): readonly GenericResource[] | undefined {
  const resources = read.at(reserved, 'generic_resources');
  const devices = read.at(reserved, 'devices');
  const gpus = [
    ...shortOrLong(read, read.at(service, 'gpus')),
    ...requests(read, devices, `${place}.devices`),
  ];
  const generic = genericResources(read, resources);
  const isCounted = generic.some(({ discrete }) => discrete.kind === gpuKind);
  const [twice] = isCounted ? gpus : gpus.slice(1);
  if (twice !== undefined) {
    read.problems.add(
      twice.field.node!.at,
      `${twice.field.name}: ${gpuKind} is reserved more than once: say one count for all`,
    );
  }
  const counts = gpus.flatMap(({ count }) => count ?? []);
  const all = [...generic, ...counts.map((value) => ({ discrete: { kind: gpuKind, value } }))];
  return resources.node === undefined && all.length === 0 ? undefined : all;
}

interface Gpus {
  readonly field: Field;
  /** Undefined where something is wrong with it. */
  readonly count: number | undefined;
}

/** `gpus: all` is the short form. */
function shortOrLong(read: Reader, field: Field): readonly Gpus[] {
  if (field.node?.kind !== 'scalar') return requests(read, field, 'services.*.gpus');
  if (read.oneOf(field, ['all']) !== undefined) refuseAll(read, field);
  return [];
}

function requests(read: Reader, field: Field, at: KeyPlace): readonly Gpus[] {
  return read.items(field).flatMap((item) => {
    if (!read.keys(item, at)) return [];
    const fits = [hasDriver(read, item), hasCapabilities(read, item, at)].every(Boolean);
    const count = countOf(read, item);
    return [{ field: item, count: fits ? count : undefined }];
  });
}

function countOf(read: Reader, item: Field): number | undefined {
  const field = read.at(item, 'count');
  if (field.node === undefined) {
    // To ask for single devices is refused already, and the reason is told.
    if (read.at(item, 'device_ids').node === undefined) refuseAll(read, item);
    return undefined;
  }
  if (field.node.kind !== 'scalar' || field.node.value !== 'all') return read.integer(field, 1);
  refuseAll(read, field);
  return undefined;
}

function refuseAll(read: Reader, field: Field): void {
  read.problems.add(
    field.node!.at,
    `${field.name}: all GPUs of a node cannot be reserved, as nodes differ in how many they have: ` +
      'say a count',
  );
}

function hasDriver(read: Reader, item: Field): boolean {
  const field = read.at(item, 'driver');
  const driver = read.text(field) ?? '';
  if (driver === '' || driver === 'nvidia') return true;
  read.problems.add(field.node!.at, `${field.name}: "${driver}" is not supported: ${others}`);
  return false;
}

function hasCapabilities(read: Reader, item: Field, at: KeyPlace): boolean {
  const field = read.at(item, 'capabilities');
  if (field.node === undefined) {
    if (at === 'services.*.gpus') return true;
    read.problems.add(item.node!.at, `${item.name} needs capabilities, such as [gpu]`);
    return false;
  }
  const wrong = read.items(field).find((one) => {
    const capability = read.text(one);
    return capability !== undefined && !gpuCapabilities.includes(capability);
  });
  if (wrong === undefined) return true;
  read.problems.add(
    wrong.node!.at,
    `${wrong.name}: "${read.text(wrong)}" is not a capability of GPUs: ${others}`,
  );
  return false;
}

function genericResources(read: Reader, field: Field) {
  return read.items(field).flatMap((item) => {
    read.keys(item, `${place}.generic_resources`);
    const spec = read.at(item, 'discrete_resource_spec');
    read.keys(spec, `${place}.generic_resources.discrete_resource_spec`);
    const kind = read.text(read.at(spec, 'kind'));
    const value = read.integer(read.at(spec, 'value'));
    return kind === undefined || value === undefined ? [] : [{ discrete: { kind, value } }];
  });
}
