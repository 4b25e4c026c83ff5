/** What would become of tasks, asked of the planners themselves. */
import { serviceSpec, type PreviewChange } from '../../types/index.ts';
import type { Client } from '../client/index.ts';
import { previewedTasks } from '../plan/preview.ts';
import { draftOf } from '../service/draft.ts';
import { resolveReferences } from '../service/references.ts';
import type { Step } from './plan.ts';

const notYet = '  tasks: to be seen once its networks, secrets and configs are there';

/** Lines by the names of services. What is to be made first, no planner knows of yet. */
export async function tasksOfPlan(
  client: Client,
  steps: readonly Step[],
): Promise<ReadonlyMap<string, readonly string[]>> {
  const coming = new Set(
    steps.flatMap((step) => {
      if (step.do === 'create-network') return [step.network.name];
      return step.do === 'create-file' ? [step.file.name] : [];
    }),
  );
  const changes: PreviewChange[] = [];
  const lines = new Map<string, readonly string[]>();
  for (const step of steps) {
    if (step.do === 'remove-service') changes.push({ action: 'remove', service: step.current.ID });
    if (step.do !== 'create-service' && step.do !== 'update-service') continue;
    if (namesOf(step).some((name) => coming.has(name))) {
      lines.set(step.spec.name, [notYet]);
      continue;
    }
    changes.push(await changeOf(client, step));
  }
  if (changes.length === 0) return lines;
  return new Map([...(await previewedTasks(client, changes)), ...lines]);
}

type ServiceStep = Extract<Step, { do: 'create-service' | 'update-service' }>;

function namesOf({ spec }: ServiceStep): readonly string[] {
  const { networks, container } = spec.task;
  return [
    ...(networks ?? []).map(({ target }) => target),
    ...(container?.secrets ?? []).map(({ secretName }) => secretName),
    ...(container?.configs ?? []).map(({ configName }) => configName),
  ];
}

async function changeOf(client: Client, step: ServiceStep): Promise<PreviewChange> {
  const spec = draftOf(step.spec);
  await resolveReferences(spec, client);
  if (step.do === 'create-service') return { action: 'create', spec };
  spec.task.forceUpdate = serviceSpec.decode(step.current.Spec, 'Spec').task.forceUpdate;
  return { action: 'update', service: step.current.ID, spec };
}
