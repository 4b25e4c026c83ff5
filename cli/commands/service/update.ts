import { connect, type Client } from '../../client/index.ts';
import type { WireService } from '../../client/wire.ts';
import { exactly, type Command } from '../../command/command.ts';
import { detachFlag, quietProgressFlag } from '../../command/common-flags.ts';
import type { Context } from '../../command/context.ts';
import { commandError } from '../../command/errors.ts';
import { bool, type FlagValues } from '../../command/flags.ts';
import { changeService, type ChangeOptions, type SpecEdit } from '../../service/change.ts';
import { container, type SpecDraft } from '../../service/draft.ts';
import { pinImage, withTag } from '../../service/image-digest.ts';
import { findService } from '../../service/lookup.ts';
import { whenLed } from '../../service/patience.ts';
import { changeNetworks } from '../../service/networks.ts';
import { resolveReferences } from '../../service/references.ts';
import { registryAuthFor } from '../../service/registry-auth.ts';
import { applyFlags, specFlags } from '../../service/service-flags.ts';
import { isCron } from '../../service/service-list.ts';
import { timeoutFlag, waitConverged } from '../../service/wait.ts';

const withRegistryAuth = bool(
  'with-registry-auth',
  'Send registry authentication details to swarm agents',
);
const noResolveImage = bool(
  'no-resolve-image',
  'Do not query the registry to resolve image digest and supported platforms',
);
const rollback = bool('rollback', 'Rollback to previous specification');

function changing(context: Context) {
  return specFlags(context.env).flatMap((flag) => flag.flags('update'));
}

export const command: Command = {
  usage: '[OPTIONS] SERVICE',
  flags: (context) => [
    detachFlag,
    quietProgressFlag,
    timeoutFlag,
    withRegistryAuth,
    noResolveImage,
    rollback,
    ...changing(context),
  ],
  args: exactly(1),
  async run(context, [reference = ''], flags) {
    const client = connect(context);
    const service = await whenLed(context.clock, () => findService(client, reference));
    const told: string[] = [];
    const { edit, options } = await editOf(context, client, service, flags, told);
    const { warnings, sinceVersion } = await changeService(context, client, service, edit, options);
    for (const warning of [...told, ...warnings]) context.err.line(warning);
    context.out.line(reference);
    // What a cron service is to be like from now on shows with its next tick.
    if (flags.get(detachFlag) || isCron(service)) return;
    await waitConverged(context, client, service.ID, {
      name: reference,
      quiet: flags.get(quietProgressFlag) ?? false,
      rollback: options.rollback === true,
      timeoutMs: flags.get(timeoutFlag),
      sinceVersion,
    });
  },
};

/** What the flags do to the service's spec; `told` gets the warnings. */
export async function editOf(
  context: Context,
  client: Client,
  service: WireService,
  flags: FlagValues,
  told: string[],
): Promise<{ edit: SpecEdit; options: ChangeOptions }> {
  const back = flags.get(rollback) === true;
  if (back && changing(context).some((flag) => flags.has(flag))) {
    throw commandError('other flags may not be combined with --rollback');
  }
  const image = service.Spec.TaskTemplate.ContainerSpec?.Image ?? '';
  const options = await changeOptions(context, flags, back, image);
  const edit: SpecEdit = async (spec) => {
    told.length = 0;
    if (!back) await change(context, client, spec, flags, options, told);
  };
  return { edit, options };
}

async function changeOptions(
  context: Context,
  flags: FlagValues,
  back: boolean,
  currentImage: string,
): Promise<ChangeOptions> {
  if (flags.get(withRegistryAuth)) {
    const image = newImage(context, flags) ?? currentImage;
    return { rollback: back, registryAuth: await registryAuthFor(image, context.env) };
  }
  return { rollback: back, registryAuthFrom: back ? 'previous-spec' : 'spec' };
}

function newImage(context: Context, flags: FlagValues): string | undefined {
  const flag = changing(context).find(({ name }) => name === 'image');
  return flag === undefined ? undefined : (flags.get(flag) as string | undefined);
}

async function change(
  context: Context,
  client: Client,
  spec: SpecDraft,
  flags: FlagValues,
  options: ChangeOptions,
  warnings: string[],
): Promise<void> {
  applyFlags(spec, specFlags(context.env), flags, 'update');
  await changeNetworks(spec, flags, client);
  await resolveReferences(spec, client);
  const image = newImage(context, flags);
  if (image === undefined) return;
  container(spec).image = withTag(image);
  if (flags.get(noResolveImage)) return;
  const warning = await pinImage(spec, client, options.registryAuth);
  if (warning !== undefined) warnings.push(warning);
}
