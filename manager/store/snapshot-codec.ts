/**
 * The whole state as bytes: a line of JSON for each object. Task specs stand once each and are
 * referred to by number, so that restoring keeps them shared.
 */
import { SwarmError } from '../../lib/errors.ts';
import type {
  Cluster,
  ClusterVolume,
  FileObject,
  Network,
  Node,
  Service,
  ServiceSpec,
  Task,
  TaskSpec,
} from '../../types/index.ts';
import { withSharedText } from './resolve.ts';
import type { State } from './state.ts';

type Line =
  | readonly ['format', number]
  | readonly ['spec', number, TaskSpec]
  | readonly ['cluster', Cluster]
  | readonly ['node', Node]
  | readonly ['network', Network]
  | readonly ['secret' | 'config', FileObject]
  | readonly ['volume', ClusterVolume]
  | readonly ['service', Service, number, number | null]
  | readonly ['task', Omit<Task, 'spec'>, number];

const formatVersion = 1;
/** Small enough that a part costs about a millisecond, large enough that parts cost little. */
const linesPerPart = 256;
/** A line may be a config of a megabyte. */
const charactersPerPart = 1 << 20;

/**
 * The state as of now, in parts that are made as they are asked for. Objects never change, so that
 * holding on to them is enough: the state may go on changing while the parts are made.
 */
export function encodeSnapshot(state: State): Iterable<Uint8Array> {
  const objects = {
    cluster: state.cluster(),
    nodes: [...state.nodes()],
    networks: [...state.networks()],
    secrets: [...state.files('secret')],
    configs: [...state.files('config')],
    volumes: [...state.volumes()],
    services: [...state.services()],
    tasks: [...state.tasks()],
  };
  return parts(lines(objects));
}

/** Puts the snapshot's objects into an empty state. */
export function decodeSnapshot(bytes: Uint8Array, state: State): void {
  const specs = new Map<number, TaskSpec>();
  const withTask = (spec: ServiceSpec, number: number) => ({
    ...spec,
    task: specAt(specs, number),
  });
  for (const line of parse(bytes)) {
    switch (line[0]) {
      case 'format':
        checkFormat(line[1]);
        break;
      case 'spec':
        specs.set(line[1], line[2]);
        break;
      case 'cluster':
        state.put('cluster', line[1]);
        break;
      case 'node':
        state.put('node', line[1]);
        break;
      case 'network':
        state.put('network', line[1]);
        break;
      case 'secret':
      case 'config':
        state.put(line[0], line[1]);
        break;
      case 'volume':
        state.put('volume', line[1]);
        break;
      case 'service': {
        const [, service, number, previous] = line;
        const { previousSpec } = service;
        state.put('service', {
          ...service,
          spec: withTask(service.spec, number),
          ...(previousSpec === undefined || previous === null
            ? {}
            : { previousSpec: withTask(previousSpec, previous) }),
        });
        break;
      }
      case 'task':
        state.put('task', withSharedText({ ...line[1], spec: specAt(specs, line[2]) }, state));
        break;
    }
  }
}

interface Objects {
  readonly cluster: Cluster | undefined;
  readonly nodes: readonly Node[];
  readonly networks: readonly Network[];
  readonly secrets: readonly FileObject[];
  readonly configs: readonly FileObject[];
  readonly volumes: readonly ClusterVolume[];
  readonly services: readonly Service[];
  readonly tasks: readonly Task[];
}

function* lines(objects: Objects): Iterable<Line> {
  const numbers = new Map<TaskSpec, number>();
  function* number(spec: TaskSpec): Generator<Line, number> {
    let known = numbers.get(spec);
    if (known === undefined) {
      known = numbers.size;
      numbers.set(spec, known);
      yield ['spec', known, spec];
    }
    return known;
  }
  yield ['format', formatVersion];
  if (objects.cluster !== undefined) yield ['cluster', objects.cluster];
  for (const node of objects.nodes) yield ['node', node];
  for (const network of objects.networks) yield ['network', network];
  for (const secret of objects.secrets) yield ['secret', secret];
  for (const config of objects.configs) yield ['config', config];
  for (const volume of objects.volumes) yield ['volume', volume];
  for (const service of objects.services) {
    const { previousSpec } = service;
    const present = yield* number(service.spec.task);
    const previous = previousSpec === undefined ? null : yield* number(previousSpec.task);
    yield ['service', withoutTasks(service), present, previous];
  }
  for (const { spec, ...task } of objects.tasks) yield ['task', task, yield* number(spec)];
}

function withoutTasks(service: Service): Service {
  const bare = ({ task: _, ...spec }: ServiceSpec) => spec as ServiceSpec;
  return {
    ...service,
    spec: bare(service.spec),
    ...(service.previousSpec === undefined ? {} : { previousSpec: bare(service.previousSpec) }),
  };
}

function* parts(all: Iterable<Line>): Iterable<Uint8Array> {
  let text: string[] = [];
  let characters = 0;
  for (const line of all) {
    const json = JSON.stringify(line);
    text.push(json, '\n');
    characters += json.length;
    if (text.length < 2 * linesPerPart && characters < charactersPerPart) continue;
    yield Buffer.from(text.join(''));
    text = [];
    characters = 0;
  }
  if (text.length > 0) yield Buffer.from(text.join(''));
}

function* parse(bytes: Uint8Array): Iterable<Line> {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let from = 0; from < buffer.length;) {
    const newline = buffer.indexOf(10, from);
    const to = newline < 0 ? buffer.length : newline;
    yield JSON.parse(buffer.toString('utf8', from, to)) as Line;
    from = to + 1;
  }
}

function checkFormat(version: number): void {
  if (version === formatVersion) return;
  throw new SwarmError(
    'internal',
    `the snapshot is of format ${version}; this version reads format ` +
      `${formatVersion}: start the version of ts-swarm again that wrote it`,
  );
}

function specAt(specs: ReadonlyMap<number, TaskSpec>, number: number): TaskSpec {
  const spec = specs.get(number);
  if (spec === undefined) {
    throw new SwarmError('internal', `the snapshot refers to spec ${number}, which it lacks`);
  }
  return spec;
}
