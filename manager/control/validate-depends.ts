/** What makes the label of a service's dependencies a good one. */
import { SwarmError } from '../../lib/errors.ts';
import { dependsLabel, parseDependency, type ServiceSpec } from '../../types/index.ts';

/** Throws `invalid-argument` for the first entry that is none, or that is there twice. */
export function validateDependencies({ name, labels }: ServiceSpec): void {
  const text = labels[dependsLabel];
  if (text === undefined) return;
  const seen = new Set<string>();
  for (const part of text.split(',')) {
    const dependency = parseDependency(part);
    if (dependency === undefined) {
      throw invalid(
        `"${part}" is no dependency: give SERVICE=started, SERVICE=healthy or SERVICE=completed`,
      );
    }
    const { service } = dependency;
    if (service === name) throw invalid(`service ${name} cannot depend on itself`);
    if (seen.has(service)) throw invalid(`the dependency on ${service} is given more than once`);
    seen.add(service);
  }
}

function invalid(message: string): SwarmError {
  return new SwarmError('invalid-argument', message);
}
