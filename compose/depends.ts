/** `depends_on` and `links`: what comes before what. */
import { dependsLabel, dependsText, type Dependency } from '../types/index.ts';
import type { Field, Reader } from './read.ts';
import type { StackService } from './stack.ts';

const conditions = [
  'service_started',
  'service_healthy',
  'service_completed_successfully',
] as const;

/** Each service after those it depends on; otherwise in the order of the file. */
export function inDependencyOrder(
  read: Reader,
  services: Field,
  converted: readonly StackService[],
): readonly StackService[] {
  const byKey = new Map(converted.map((service) => [service.key, service]));
  const before = new Map(
    read.entries(services).map(([key, field]) => [key, dependenciesOf(read, key, field, services)]),
  );
  const ordered = new Map<string, StackService>();
  const open: string[] = [];
  const visit = (key: string) => {
    const service = byKey.get(key);
    if (service === undefined || ordered.has(key)) return;
    if (open.includes(key)) {
      const circle = [...open.slice(open.indexOf(key)), key].join(' → ');
      read.problems.add(service.at, `services depend on each other in a circle: ${circle}`);
      return;
    }
    open.push(key);
    for (const other of before.get(key) ?? []) visit(other);
    open.pop();
    ordered.set(key, service);
  };
  for (const { key } of converted) visit(key);
  return [...ordered.values()];
}

function dependenciesOf(
  read: Reader,
  key: string,
  service: Field,
  services: Field,
): readonly string[] {
  const known = new Set(read.entries(services).map(([name]) => name));
  return read.entries(read.at(service, 'depends_on')).flatMap(([name, field, at]) => {
    read.keys(field, 'services.*.depends_on.*');
    const isRequired = read.boolean(read.at(field, 'required')) ?? true;
    const condition = read.at(field, 'condition');
    read.oneOf(condition, conditions);
    if (!known.has(name)) {
      if (isRequired)
        read.problems.add(at, `services.${key} depends on ${name}, which is not there`);
      return [];
    }
    return [name];
  });
}

const words = {
  service_started: 'started',
  service_healthy: 'healthy',
  service_completed_successfully: 'completed',
} as const;

/** What the managers hold the service back for, as its label; `nameOf`: of those that are there. */
export function dependsLabelOf(
  read: Reader,
  service: Field,
  nameOf: (key: string) => string | undefined,
): Readonly<Record<string, string>> {
  const dependencies = read
    .entries(read.at(service, 'depends_on'))
    .flatMap(([key, field]): Dependency[] => {
      const name = nameOf(key);
      // Whatever is wrong with it is said where the order is made.
      const { node } = read.at(field, 'condition');
      const word = conditions.find((known) => node?.kind === 'scalar' && node.value === known);
      if (name === undefined) return [];
      return [{ service: name, condition: words[word ?? 'service_started'] }];
    });
  // The same text however the file orders them: another one would be a change of the service.
  const sorted = dependencies.toSorted((a, b) => (a.service < b.service ? -1 : 1));
  return sorted.length === 0 ? {} : { [dependsLabel]: dependsText(sorted) };
}

/** Services whose end others wait for, with the place that says so: they run once, as jobs. */
export function awaitedEnds(read: Reader, services: Field): ReadonlyMap<string, Field> {
  const found = new Map<string, Field>();
  for (const [, service] of read.entries(services)) {
    for (const [key, field] of read.entries(read.at(service, 'depends_on'))) {
      const condition = read.at(field, 'condition');
      const isEnd =
        condition.node?.kind === 'scalar' &&
        condition.node.value === 'service_completed_successfully';
      if (isEnd) found.set(key, condition);
    }
  }
  return found;
}
