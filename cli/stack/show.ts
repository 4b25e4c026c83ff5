/** A plan in words: one line for a step, and under a changed service one for each field. */
import type { StackBuild } from '../../compose/index.ts';
import { differenceText } from './compare.ts';
import type { Step } from './plan.ts';

/** As it is done. */
export function stepText(step: Step): string {
  switch (step.do) {
    case 'create-network':
      return `Creating network ${step.network.name}`;
    case 'create-file':
      return `Creating ${step.kind} ${step.file.name}`;
    case 'update-file':
      return `Updating ${step.kind} ${step.file.name} (id: ${step.current.ID})`;
    case 'remove-file':
      return `Removing ${step.kind} ${step.current.Spec.Name}, which no service uses any more`;
    case 'create-service':
      return `Creating service ${step.spec.name}`;
    case 'update-service':
      return `Updating service ${step.spec.name} (id: ${step.current.ID})`;
    case 'keep-service':
      return `Keeping service ${step.service.spec.name} (id: ${step.current.ID})`;
    default:
      return `Removing service ${step.current.Spec.Name ?? step.current.ID}`;
  }
}

export function buildText(build: StackBuild): string {
  return `Building ${build.tags.join(', ')} of ${build.context}`;
}

/** As it would be done; the last line is the sum. */
export function planLines(
  steps: readonly Step[],
  tasks: ReadonlyMap<string, readonly string[]>,
): string[] {
  const tasksOf = (service: string) => (tasks.get(service) ?? []).map((line) => `  ${line}`);
  const lines = steps.flatMap((step): string[] => {
    switch (step.do) {
      case 'create-network':
        return [`+ network ${step.network.name}`];
      case 'create-file':
        return [`+ ${step.kind} ${step.file.name}`];
      case 'update-file':
        return [`~ ${step.kind} ${step.file.name}`];
      case 'remove-file':
        return [`- ${step.kind} ${step.current.Spec.Name}`];
      case 'create-service':
        return [`+ service ${step.spec.name}`, ...tasksOf(step.spec.name)];
      case 'update-service':
        return [
          `~ service ${step.spec.name}`,
          ...step.changes.map((change) => `    ${differenceText(change)}`),
          ...tasksOf(step.spec.name),
        ];
      case 'keep-service':
        return [`  service ${step.service.spec.name}`];
      default:
        return [`- service ${step.current.Spec.Name ?? step.current.ID}`];
    }
  });
  return [...lines, sumOf(steps)];
}

function sumOf(steps: readonly Step[]): string {
  const count = (beginning: string) => steps.filter((step) => step.do.startsWith(beginning)).length;
  const changed = steps.filter((step) => step.do !== 'keep-service').length;
  if (changed === 0) return 'Nothing to change.';
  return `${count('create')} to create, ${count('update')} to change, ${count('remove')} to remove.`;
}
