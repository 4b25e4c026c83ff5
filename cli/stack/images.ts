/** The images of a stack's services, pinned as --resolve-image says. */
import type { Stack, StackService } from '../../compose/index.ts';
import type { ServiceSpec } from '../../types/index.ts';
import type { Client } from '../client/index.ts';
import type { WireService } from '../client/wire.ts';
import type { Context } from '../command/context.ts';
import { draftOf, placement } from '../service/draft.ts';
import { pinImage, withTag } from '../service/image-digest.ts';
import { registryAuthFor } from '../service/registry-auth.ts';
import { deployedImage } from './plan.ts';

export const resolutions = ['always', 'changed', 'never'] as const;

interface ImageOptions {
  readonly resolve: (typeof resolutions)[number];
  readonly withRegistryAuth: boolean;
  /** What was built was pushed a moment ago, and may be new under its old name. */
  readonly built: boolean;
}

/** The specs as they are to be deployed, by the names of the file. Warnings go to stderr. */
export async function pinnedSpecs(
  context: Context,
  client: Client,
  stack: Stack,
  current: readonly WireService[],
  options: ImageOptions,
): Promise<ReadonlyMap<string, ServiceSpec>> {
  const specs = new Map<string, ServiceSpec>();
  for (const service of stack.services) {
    const known = current.find(({ Spec }) => Spec.Name === service.spec.name);
    specs.set(service.key, await pinned(context, client, service, known, options));
  }
  return specs;
}

async function pinned(
  context: Context,
  client: Client,
  service: StackService,
  current: WireService | undefined,
  options: ImageOptions,
): Promise<ServiceSpec> {
  const image = service.spec.task.container?.image ?? '';
  const isSame = current !== undefined && deployedImage(current) === image;
  const isBuilt = options.built && service.build !== undefined;
  const ask = isBuilt || options.resolve === 'always' || (options.resolve === 'changed' && !isSame);
  if (!ask && isSame) return asDeployed(service, current);
  const draft = draftOf(service.spec);
  draft.task.container!.image = withTag(image);
  if (!ask) return draft;
  const auth = options.withRegistryAuth ? await registryAuthFor(image, context.env) : undefined;
  const warning = await pinImage(draft, client, auth);
  if (warning !== undefined) {
    // The registry is away: what was found the last time still stands.
    if (isSame && !isBuilt) return asDeployed(service, current);
    context.err.line(warning);
    return draft;
  }
  if (service.fixedPlatform) {
    placement(draft).platforms = draftOf(service.spec).task.placement?.platforms ?? [];
  }
  return draft;
}

/** With the digest, and the platforms, that the last deployment found. */
function asDeployed(service: StackService, current: WireService): ServiceSpec {
  const draft = draftOf(service.spec);
  const deployed = current.Spec.TaskTemplate;
  draft.task.container!.image = deployed.ContainerSpec?.Image ?? draft.task.container!.image;
  const platforms = (deployed.Placement?.Platforms ?? []).map(({ Architecture, OS }) => ({
    ...(Architecture ? { architecture: Architecture } : {}),
    ...(OS ? { os: OS } : {}),
  }));
  if (!service.fixedPlatform && platforms.length > 0) placement(draft).platforms = platforms;
  return draft;
}
