import { connect } from '../../client/index.ts';
import { exactly, type Command } from '../../command/command.ts';
import { detachFlag, quietProgressFlag } from '../../command/common-flags.ts';
import type { Context } from '../../command/context.ts';
import { silentExit } from '../../command/errors.ts';
import { bool, oneOf, type FlagValues } from '../../command/flags.ts';
import { changesExit } from '../../plan/preview.ts';
import { timeoutFlag, waitConverged } from '../../service/wait.ts';
import { applySteps, type Deployed } from '../../stack/apply.ts';
import { buildImages, buildsOf } from '../../stack/build.ts';
import { pinnedSpecs, resolutions } from '../../stack/images.ts';
import { inputFlags, readStack } from '../../stack/input.ts';
import { planDeploy } from '../../stack/plan.ts';
import { tasksOfPlan } from '../../stack/preview.ts';
import { buildText, planLines } from '../../stack/show.ts';
import { readState } from '../../stack/state.ts';

const noBuild = bool('no-build', 'Build no images, but take them from their registries');
const plan = bool('plan', 'Print what would change, and change nothing');
export const prune = bool('prune', 'Remove services that are no longer in the files');
const withRegistryAuth = bool(
  'with-registry-auth',
  'Send registry authentication details to swarm agents',
);
export const resolveImage = oneOf(
  'resolve-image',
  'Query the registry to resolve image digests and supported platforms\n' +
    '("always", "changed", "never")',
  resolutions,
  { shownDefault: 'always' },
);

export const planFlags = [...inputFlags, prune, withRegistryAuth, resolveImage];

export const command: Command = {
  usage: '[OPTIONS] STACK',
  flags: [...planFlags, plan, noBuild, detachFlag, quietProgressFlag, timeoutFlag],
  args: exactly(1),
  long:
    'Deploys a new stack, or changes one that is there to what the Compose files say. What is as\n' +
    'the files say already is left alone: a second deployment of the same files restarts nothing.',
  async run(context, [name = ''], flags) {
    if (flags.get(plan)) return printPlan(context, name, flags);
    const { client, steps } = await makePlan(context, name, flags, { builds: !flags.get(noBuild) });
    const isDetached = flags.get(detachFlag) ?? false;
    const converged = (service: Deployed) =>
      waitConverged(context, client, service.id, {
        name: service.name,
        quiet: flags.get(quietProgressFlag) ?? false,
        timeoutMs: flags.get(timeoutFlag),
        sinceVersion: service.sinceVersion,
      });
    const auth = flags.get(withRegistryAuth) ?? false;
    const deployed = await applySteps(context, client, steps, { withRegistryAuth: auth });
    if (steps.every((step) => step.do === 'keep-service')) {
      context.out.line(`Nothing to change: stack ${name} is as the files say.`);
    }
    if (isDetached) return;
    for (const service of deployed) await converged(service);
  },
};

export async function printPlan(context: Context, name: string, flags: FlagValues): Promise<void> {
  const { client, stack, steps } = await makePlan(context, name, flags, { builds: false });
  for (const build of buildsOf(stack)) context.out.line(`? ${buildText(build)}`);
  const tasks = await tasksOfPlan(client, steps);
  for (const line of planLines(steps, tasks)) context.out.line(line);
  if (steps.some((step) => step.do !== 'keep-service')) throw silentExit(changesExit);
}

async function makePlan(
  context: Context,
  name: string,
  flags: FlagValues,
  { builds }: { readonly builds: boolean },
) {
  const { stack, warnings } = await readStack(context, name, flags);
  for (const warning of warnings) context.err.line(`warning: ${warning}`);
  const client = connect(context);
  const state = await readState(client, name);
  const quiet = flags.get(quietProgressFlag) ?? false;
  if (builds) await buildImages(context, client, stack, { quiet });
  const specs = await pinnedSpecs(context, client, stack, state.services, {
    resolve: flags.get(resolveImage) ?? 'always',
    withRegistryAuth: flags.get(withRegistryAuth) ?? false,
    built: builds,
  });
  const steps = planDeploy(stack, state, { prune: flags.get(prune) ?? false, specs });
  return { client, stack, steps };
}
