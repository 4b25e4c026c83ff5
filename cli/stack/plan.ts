/** From what the files want and what is there to what is to be done. Pure. */
import {
  fileLabel,
  imageLabel,
  type Stack,
  type StackFile,
  type StackNetwork,
  type StackService,
} from '../../compose/index.ts';
import { SwarmError } from '../../lib/errors.ts';
import { networkSpec, serviceSpec, withScale, type ServiceSpec } from '../../types/index.ts';
import type { WireService } from '../client/wire.ts';
import { differences, type Difference } from './compare.ts';
import { isOf, type StackFileState, type StackNetworkState, type StackState } from './state.ts';

type FileKind = 'secret' | 'config';

export type Step =
  | { readonly do: 'create-network'; readonly network: StackNetwork }
  | { readonly do: 'create-file'; readonly kind: FileKind; readonly file: StackFile }
  | {
      readonly do: 'update-file';
      readonly kind: FileKind;
      readonly file: StackFile;
      readonly current: StackFileState;
    }
  | {
      readonly do: 'create-service';
      readonly service: StackService;
      readonly spec: ServiceSpec;
    }
  | {
      readonly do: 'update-service';
      readonly service: StackService;
      readonly spec: ServiceSpec;
      readonly current: WireService;
      readonly changes: readonly Difference[];
    }
  | { readonly do: 'keep-service'; readonly service: StackService; readonly current: WireService }
  | { readonly do: 'remove-service'; readonly current: WireService }
  | { readonly do: 'remove-file'; readonly kind: FileKind; readonly current: StackFileState };

interface PlanOptions {
  readonly prune: boolean;
  /** The services' specs with their images as they are to be deployed, by the file's names. */
  readonly specs: ReadonlyMap<string, ServiceSpec>;
}

/**
 * In the order in which it is to be done. Throws `failed-precondition` for what the files ask for
 * and cannot be had: an external thing that is not there, a network that would have to change.
 */
export function planDeploy(stack: Stack, state: StackState, options: PlanOptions): Step[] {
  const files = [
    ...planFiles('secret', stack.secrets, state.secrets),
    ...planFiles('config', stack.configs, state.configs),
  ];
  const networks = stack.networks.flatMap((network) => planNetwork(stack, network, state));
  const services = stack.services.map((service) => planService(service, state, options));
  const wanted = new Set(stack.services.map(({ spec }) => spec.name));
  const gone = state.services.filter(({ Spec }) => !wanted.has(Spec.Name ?? ''));
  const removed: Step[] = options.prune
    ? gone.map((current) => ({ do: 'remove-service', current }))
    : [];
  const left = options.prune ? [] : gone;
  return [...files, ...networks, ...removed, ...services, ...oldFiles(stack, state, left)];
}

function planNetwork(stack: Stack, network: StackNetwork, state: StackState): Step[] {
  const found = state.networks.find(({ Name }) => Name === network.name);
  if (network.spec === undefined) {
    if (found !== undefined || ['host', 'none', 'bridge'].includes(network.name)) return [];
    throw new SwarmError(
      'failed-precondition',
      `network "${network.name}" is declared as external, but could not be found: create it ` +
        `first with \`ts-swarm network create --driver overlay ${network.name}\``,
    );
  }
  if (found === undefined) return [{ do: 'create-network', network }];
  const changed = networkChanges(network, found);
  if (changed.length === 0) return [];
  throw new SwarmError(
    'failed-precondition',
    `network ${network.name} is there with other settings (${changed.join(', ')}), and a network ` +
      `cannot be changed: give it another name, or remove the stack ${stack.name} first`,
  );
}

/** The fields in which a network that is there is not what the file asks for. */
function networkChanges(network: StackNetwork, found: StackNetworkState): string[] {
  const wanted = network.spec!;
  const changed: string[] = [];
  if (found.Driver !== wanted.driver) changed.push('driver');
  if ((found.EnableIPv6 ?? false) !== (wanted.enableIpv6 ?? false)) changed.push('enable_ipv6');
  if ((found.Internal ?? false) !== (wanted.internal ?? false)) changed.push('internal');
  if ((found.Attachable ?? false) !== (wanted.attachable ?? false)) changed.push('attachable');
  const options = found.Options ?? {};
  if (Object.entries(wanted.options ?? {}).some(([key, value]) => options[key] !== value)) {
    changed.push('driver_opts');
  }
  const encoded = networkSpec.encode(wanted) as { IPAM?: { Config?: Record<string, unknown>[] } };
  const has = found.IPAM?.Config ?? [];
  const isThere = (config: Record<string, unknown>) => has.some((one) => contains(one, config));
  if (!(encoded.IPAM?.Config ?? []).every(isThere)) changed.push('ipam');
  return changed;
}

function contains(all: Readonly<Record<string, unknown>>, part: Record<string, unknown>): boolean {
  return Object.entries(part).every(([key, value]) => differences(value, all[key]).length === 0);
}

function planFiles(
  kind: FileKind,
  wanted: readonly StackFile[],
  there: readonly StackFileState[],
): Step[] {
  return wanted.flatMap((file): Step[] => {
    const current = there.find(({ Spec }) => Spec.Name === file.name);
    if (file.content === undefined) {
      if (current !== undefined) return [];
      throw new SwarmError(
        'failed-precondition',
        `${kind} "${file.name}" is declared as external, but could not be found: create it first ` +
          `with \`ts-swarm ${kind} create ${file.name} FILE\``,
      );
    }
    if (current === undefined) return [{ do: 'create-file', kind, file }];
    // A name that is the file's own choice goes with a label that tells the content.
    const isSame = differences(current.Spec.Labels, file.content.labels).length === 0;
    return isSame ? [] : [{ do: 'update-file', kind, file, current }];
  });
}

function planService(service: StackService, state: StackState, options: PlanOptions): Step {
  const spec = options.specs.get(service.key) ?? service.spec;
  const current = state.services.find(({ Spec }) => Spec.Name === service.spec.name);
  if (current === undefined) return { do: 'create-service', service, spec };
  const changes = serviceChanges(spec, current, state);
  if (changes.length === 0) return { do: 'keep-service', service, current };
  return { do: 'update-service', service, spec, current, changes };
}

/** Networks, secrets and configs are compared by name: some have no id yet. */
function serviceChanges(
  spec: ServiceSpec,
  current: WireService,
  state: Pick<StackState, 'networks'>,
): Difference[] {
  const names = new Map(state.networks.map(({ Id, Name }) => [Id, Name]));
  const old = serviceSpec.decode(current.Spec, 'Spec');
  // An autoscaled service has as many replicas as its load asks for, whatever the file says.
  const wanted = {
    ...withScale(old, spec),
    task: { ...spec.task, forceUpdate: old.task.forceUpdate },
  };
  return differences(comparable(old, names), comparable(wanted, names));
}

function comparable(spec: ServiceSpec, names: ReadonlyMap<string, string>): unknown {
  const { networks, container } = spec.task;
  const byName = <T extends { readonly target: string }>(one: T) => ({
    ...one,
    target: names.get(one.target) ?? one.target,
  });
  const plain: ServiceSpec = {
    ...spec,
    task: {
      ...spec.task,
      ...(networks === undefined ? {} : { networks: inOrder(networks.map(byName), 'target') }),
      ...(container === undefined
        ? {}
        : {
            container: {
              ...container,
              ...(container.secrets === undefined
                ? {}
                : { secrets: container.secrets.map((one) => ({ ...one, secretId: '' })) }),
              ...(container.configs === undefined
                ? {}
                : { configs: container.configs.map((one) => ({ ...one, configId: '' })) }),
            },
          }),
    },
  };
  return serviceSpec.encode(plain);
}

function inOrder<T extends object>(list: readonly T[], key: keyof T): readonly T[] {
  return list.toSorted((a, b) => (a[key] < b[key] ? -1 : a[key] > b[key] ? 1 : 0));
}

/**
 * Versions of secrets and configs that no service needs any more. What a service had before its
 * last change stays: it may go back to that.
 */
function oldFiles(stack: Stack, state: StackState, left: readonly WireService[]): Step[] {
  const wanted = new Set([...stack.secrets, ...stack.configs].map(({ name }) => name));
  const keep = new Set(wanted);
  const names = new Set(stack.services.map(({ spec }) => spec.name));
  const staying = state.services.filter(({ Spec }) => names.has(Spec.Name ?? ''));
  for (const service of [...staying, ...left]) {
    for (const name of fileNames(service.Spec)) keep.add(name);
    for (const name of fileNames(service.PreviousSpec)) keep.add(name);
  }
  const old = (kind: FileKind, files: readonly StackFileState[]): Step[] =>
    files
      .filter(({ Spec }) => isOf(stack.name, Spec.Labels) && Spec.Labels?.[fileLabel] !== undefined)
      .filter(({ Spec }) => !keep.has(Spec.Name))
      .map((current) => ({ do: 'remove-file', kind, current }));
  return [...old('secret', state.secrets), ...old('config', state.configs)];
}

function fileNames(spec: unknown): readonly string[] {
  if (typeof spec !== 'object' || spec === null) return [];
  const { container } = serviceSpec.decode(spec, 'Spec').task;
  return [
    ...(container?.secrets ?? []).map(({ secretName }) => secretName),
    ...(container?.configs ?? []).map(({ configName }) => configName),
  ];
}

/** The image of the file that the service was last deployed with. */
export function deployedImage(service: WireService): string | undefined {
  return service.Spec.Labels?.[imageLabel];
}
