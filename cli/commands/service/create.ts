import { cronOf, serviceSpec } from '../../../types/index.ts';
import { connect, type Client } from '../../client/index.ts';
import { atLeast, type Command } from '../../command/command.ts';
import { detachFlag, quietProgressFlag } from '../../command/common-flags.ts';
import type { Context } from '../../command/context.ts';
import { bool, type FlagValues } from '../../command/flags.ts';
import { createService } from '../../service/create.ts';
import { container, draftOf, type SpecDraft } from '../../service/draft.ts';
import { pinImage, withTag } from '../../service/image-digest.ts';
import { resolveReferences } from '../../service/references.ts';
import { registryAuthFor } from '../../service/registry-auth.ts';
import { applyFlags, specFlags } from '../../service/service-flags.ts';
import { timeoutFlag, waitConverged } from '../../service/wait.ts';

const withRegistryAuth = bool(
  'with-registry-auth',
  'Send registry authentication details to swarm agents',
);
const noResolveImage = bool(
  'no-resolve-image',
  'Do not query the registry to resolve image digest and supported platforms',
);

export const command: Command = {
  usage: '[OPTIONS] IMAGE [COMMAND] [ARG...]',
  flags: (context) => [
    detachFlag,
    quietProgressFlag,
    timeoutFlag,
    withRegistryAuth,
    noResolveImage,
    ...specFlags(context.env).flatMap((flag) => flag.flags('create')),
  ],
  args: atLeast(1),
  passThrough: true,
  async run(context, [image = '', ...args], flags) {
    const client = connect(context);
    const { spec, auth, warning } = await drafted(context, client, [image, ...args], flags);
    const created = await createService(context, client, spec, auth);
    for (const text of [warning, ...(created.Warnings ?? [])]) {
      if (text !== undefined) context.err.line(text);
    }
    context.out.line(created.ID);
    // A cron service does nothing until its first tick.
    if (flags.get(detachFlag) || cronOf(spec) !== undefined) return;
    await waitConverged(context, client, created.ID, {
      quiet: flags.get(quietProgressFlag) ?? false,
      timeoutMs: flags.get(timeoutFlag),
      sinceVersion: 0,
    });
  },
};

/** The service as it is to be sent, from the command's operands and flags. */
export async function drafted(
  context: Context,
  client: Client,
  [image = '', ...args]: readonly string[],
  flags: FlagValues,
): Promise<{ spec: SpecDraft; auth: string | undefined; warning: string | undefined }> {
  const spec = draftSpec(context, image, args, flags);
  const auth = flags.get(withRegistryAuth) ? await registryAuthFor(image, context.env) : undefined;
  await resolveReferences(spec, client);
  const warning = flags.get(noResolveImage) ? undefined : await pinImage(spec, client, auth);
  return { spec, auth, warning };
}

function draftSpec(
  context: Context,
  image: string,
  args: readonly string[],
  flags: FlagValues,
): SpecDraft {
  const spec = draftOf(serviceSpec.decode({}, ''));
  container(spec).image = withTag(image);
  if (args.length > 0) container(spec).args = [...args];
  applyFlags(spec, specFlags(context.env), flags, 'create');
  return spec;
}
