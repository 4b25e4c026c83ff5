/** What a service waits for: a label of it. */
import {
  dependenciesOf,
  dependsLabel,
  dependsText,
  parseDependency,
  type Dependency,
} from '../../types/index.ts';
import { collection, type SpecFlag } from './spec-flag.ts';

export const dependsFlags: readonly SpecFlag[] = [
  collection<Dependency>({
    name: 'depends-on',
    word: 'service[=condition]',
    help: 'Begin once a service is "started" (the default), "healthy" or "completed"',
    addHelp: 'Add or change what the service waits for',
    rmHelp: 'Remove what the service waits for, by the other service’s name',
    parse(text) {
      const dependency = parseDependency(text);
      if (dependency !== undefined) return dependency;
      throw new Error('give SERVICE=started, SERVICE=healthy or SERVICE=completed');
    },
    key: ({ service }) => service,
    read: dependenciesOf,
    write(spec, entries) {
      const { [dependsLabel]: _old, ...labels } = spec.labels;
      const text = dependsText(entries);
      spec.labels = text === '' ? labels : { ...labels, [dependsLabel]: text };
    },
  }),
];
