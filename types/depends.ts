/**
 * What a service waits for before its tasks begin. Kept as a label: Docker's API has no word for
 * it, and labels come through every client unharmed.
 */
import type { ServiceSpec } from './specs.ts';

/** `db=healthy,migrate=completed` */
export const dependsLabel = 'ts-swarm.depends-on';

/**
 * `started`: every task has begun to run. `healthy`: every task runs now, and its health check (if
 * it has one) has succeeded. `completed`: every task has ended well, of a job or a service that is
 * not to be started again.
 */
const dependencyConditions = ['started', 'healthy', 'completed'] as const;

export interface Dependency {
  /** A service's name; it may be created later. */
  readonly service: string;
  readonly condition: (typeof dependencyConditions)[number];
}

/** Of a spec that is good; what is none is passed over. */
export function dependenciesOf({ labels }: Pick<ServiceSpec, 'labels'>): readonly Dependency[] {
  const text = labels[dependsLabel];
  if (text === undefined) return [];
  return text.split(',').flatMap((part) => parseDependency(part) ?? []);
}

/** `db` or `db=healthy`; undefined for what is neither. Without a condition: `started`. */
export function parseDependency(text: string): Dependency | undefined {
  const [service = '', word = 'started', ...more] = text.trim().split('=');
  const condition = dependencyConditions.find((known) => known === word);
  if (service === '' || condition === undefined || more.length > 0) return undefined;
  return { service, condition };
}

export function dependsText(dependencies: readonly Dependency[]): string {
  return dependencies.map(({ service, condition }) => `${service}=${condition}`).join(',');
}
