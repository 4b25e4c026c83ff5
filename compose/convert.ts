/** From the merged document to what a swarm is asked for. */
import type { PortConfig, ServiceSpec } from '../types/index.ts';
import { convertBuild } from './convert-build.ts';
import { convertContainer, convertLogging } from './convert-container.ts';
import {
  convertMode,
  convertPlacement,
  convertResources,
  convertRestart,
  convertRollout,
  present,
} from './convert-deploy.ts';
import { attachFiles, convertFiles } from './convert-files.ts';
import { convertMounts, externalName } from './convert-mounts.ts';
import { convertAttachments, convertNetworks, namesBesides } from './convert-networks.ts';
import { awaitedEnds, dependsLabelOf, inDependencyOrder } from './depends.ts';
import type { Project, Sources } from './load.ts';
import { Reader, type Field } from './read.ts';
import {
  imageLabel,
  scoped,
  stackLabel,
  type Stack,
  type StackFile,
  type StackNetwork,
  type StackService,
} from './stack.ts';

export interface ConvertOptions {
  readonly name: string;
  readonly sources: Sources;
  /** Short, of letters and digits: names a content. The salt is of the stack and the file's name. */
  readonly hash: (content: Uint8Array, salt: string) => string;
}

interface Conversion extends ConvertOptions {
  readonly project: Project;
  readonly read: Reader;
  readonly root: Field;
  readonly networks: ReadonlyMap<string, StackNetwork>;
  readonly secrets: ReadonlyMap<string, StackFile>;
  readonly configs: ReadonlyMap<string, StackFile>;
  readonly furtherNames: ReadonlyMap<string, readonly string[]>;
  readonly awaited: ReadonlyMap<string, Field>;
  /** Of the services. */
  readonly keys: ReadonlySet<string>;
}

/** What is wrong goes to the project's problems; the result counts only where there are none. */
export function convertProject(project: Project, options: ConvertOptions): Stack {
  const read = new Reader(project.problems);
  const root: Field = { node: project.root, name: '' };
  read.keys(root, '');
  const section = (key: string): Field => ({ ...read.at(root, key), name: key });
  const services = section('services');
  if (read.entries(services).length === 0) {
    project.problems.add(project.root.at, 'the file has no services');
  }
  const files = { read, lookup: project.lookup, ...options };
  const conversion: Conversion = {
    ...options,
    project,
    read,
    root,
    networks: convertNetworks(read, section('networks'), services, options.name),
    secrets: convertFiles(files, section('secrets'), 'secrets'),
    configs: convertFiles(files, section('configs'), 'configs'),
    furtherNames: namesBesides(read, services),
    awaited: awaitedEnds(read, services),
    keys: new Set(read.entries(services).map(([key]) => key)),
  };
  checkVolumes(read, section('volumes'));
  const converted = read
    .entries(services)
    .flatMap(([key, field, at]) => convertService(conversion, key, field, at) ?? []);
  return {
    name: options.name,
    services: inDependencyOrder(read, services, converted),
    networks: used(conversion.networks),
    secrets: used(conversion.secrets),
    configs: used(conversion.configs),
  };
}

function convertService(
  conversion: Conversion,
  key: string,
  service: Field,
  at: StackService['at'],
): StackService | undefined {
  const { read, name, sources, project, networks, furtherNames } = conversion;
  if (service.node === undefined) {
    read.problems.add(at, `${service.name} needs an image`);
    return undefined;
  }
  if (!read.keys(service, 'services.*')) return undefined;
  const deploy = read.at(service, 'deploy');
  read.keys(deploy, 'services.*.deploy');
  const build = convertBuild(read, service);
  checkPullPolicy(read, service);
  const container = convertContainer({ read, sources, lookup: project.lookup }, service);
  const mounts = convertMounts(
    { read, stack: name, volumes: { ...read.at(conversion.root, 'volumes'), name: 'volumes' } },
    service,
  );
  const secrets = attachFiles(read, service, 'secrets', conversion.secrets);
  const configs = attachFiles(read, service, 'configs', conversion.configs);
  const placement = convertPlacement(read, service, deploy);
  const spec: ServiceSpec = {
    name: scoped(name, key),
    labels: {
      ...dependsLabelOf(read, service, (other) =>
        conversion.keys.has(other) ? scoped(name, other) : undefined,
      ),
      ...read.record(read.at(deploy, 'labels')),
      [stackLabel]: name,
      [imageLabel]: container.image,
    },
    task: {
      container: {
        ...container,
        labels: { ...container.labels, [stackLabel]: name },
        ...(mounts.length > 0 ? { mounts } : {}),
        ...(secrets.length > 0 ? { secrets: secrets.map(asSecret) } : {}),
        ...(configs.length > 0 ? { configs: configs.map(asConfig) } : {}),
      },
      resources: convertResources(read, service, deploy),
      placement,
      networks: convertAttachments({ read, stack: name, networks, furtherNames }, key, service),
      forceUpdate: 0,
      ...present({
        restartPolicy: convertRestart(read, service, deploy),
        logDriver: convertLogging(read, service),
      }),
    },
    mode: convertMode(read, service, deploy, conversion.awaited.get(key)),
    endpoint: present({
      mode: read.oneOf(read.at(deploy, 'endpoint_mode'), ['vip', 'dnsrr']),
      ports: convertPorts(read, read.at(service, 'ports')),
    }),
    ...present({
      updateConfig: convertRollout(read, deploy, 'update_config'),
      rollbackConfig: convertRollout(read, deploy, 'rollback_config'),
    }),
  };
  return {
    key,
    at,
    spec,
    fixedPlatform: placement.platforms !== undefined,
    ...present({ build }),
  };
}

interface Attached {
  readonly name: string;
  readonly file: { readonly name: string; uid: string; gid: string; mode: number };
}
const asSecret = ({ name, file }: Attached) => ({ secretId: '', secretName: name, file });
const asConfig = ({ name, file }: Attached) => ({ configId: '', configName: name, file });

function convertPorts(read: Reader, field: Field): readonly PortConfig[] | undefined {
  const ports = read.items(field).flatMap((item): PortConfig[] => {
    if (!read.keys(item, 'services.*.ports')) return [];
    const target = read.integer(read.at(item, 'target'), 1);
    const published = read.integer(read.at(item, 'published'));
    const protocol = read.oneOf(read.at(item, 'protocol'), ['tcp', 'udp', 'sctp']);
    const mode = read.oneOf(read.at(item, 'mode'), ['ingress', 'host']);
    const name = read.text(read.at(item, 'name'));
    if (target === undefined) {
      if (read.at(item, 'target').node === undefined) {
        read.problems.add(item.node!.at, `${item.name} needs a target`);
      }
      return [];
    }
    return [
      {
        ...present({ name, publishedPort: published }),
        protocol: protocol ?? 'tcp',
        targetPort: target,
        publishMode: mode ?? 'ingress',
      },
    ];
  });
  const order = (port: PortConfig) => port.publishedPort ?? 0;
  return ports.length > 0 ? ports.toSorted((a, b) => order(a) - order(b)) : undefined;
}

function checkPullPolicy(read: Reader, service: Field): void {
  const field = read.at(service, 'pull_policy');
  const text = read.text(field);
  const known = ['always', 'missing', 'if_not_present', 'build'];
  if (text === undefined || known.includes(text)) return;
  read.problems.add(
    field.node!.at,
    `${field.name}: "${text}" is not supported: nodes pull what they lack; use always or missing`,
  );
}

function checkVolumes(read: Reader, volumes: Field): void {
  for (const [name, field] of read.entries(volumes)) {
    if (field.node === undefined || !read.keys(field, 'volumes.*')) continue;
    const { problems } = read;
    if (externalName(read, field) === undefined) continue;
    const extra = ['driver', 'driver_opts', 'labels'].find(
      (key) => read.at(field, key).node !== undefined,
    );
    if (extra !== undefined) {
      problems.add(field.node.at, `volumes.${name}: an external volume has no ${extra} here`);
    }
  }
}

function used<T extends StackNetwork | StackFile>(all: ReadonlyMap<string, T>): readonly T[] {
  return [...all.values()];
}
