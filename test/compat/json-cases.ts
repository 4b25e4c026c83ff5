/** Our documents beside those of Docker's own daemon: the same fields, of the same types. */
import { strict as assert } from 'node:assert';
import { until, type Host } from '../lab/index.ts';
import { differences, ignored } from './differences.ts';
import type { Field } from './field.ts';

/** What Debian's dockerd speaks. */
const version = '/v1.41';
const paths: readonly string[] = [
  '/info',
  '/version',
  '/swarm',
  '/nodes?filters={"role":["manager"]}',
  '/nodes/{host}',
  '/services?filters={"name":["web"]}',
  '/services?status=true&filters={"name":["web"]}',
  '/services/web',
  '/services/web?insertDefaults=true',
  '/services/plain',
  '/tasks?filters={"service":["web"]}',
  '/images/json?filters={"reference":["{name}"]}',
  '/images/{image}/json',
  '/images/{image}/history',
  '/tasks/{task}',
  '/services/meshed',
  '/tasks?filters={"service":["meshed"]}',
  '/networks/none',
  '/networks/bridge',
  '/networks/joined',
  '/networks/joined?verbose=true',
  '/networks/ingress',
  '/networks/unused',
  '/networks?filters={"name":["unused"]}',
  '/distribution/{image}/json',
  ...['secrets', 'configs'].flatMap((kind) => [
    `/${kind}/plain`,
    `/${kind}/template`,
    `/${kind}?filters={"name":["plain"]}`,
  ]),
  '/services/keeper',
];

export function jsonCases(get: () => Field): void {
  describe('documents beside Docker’s own', () => {
    const used = new Set<unknown>();
    before(async () => {
      const field = get();
      await pulled(field);
      for (const host of [field.manager, field.dockerd]) {
        for (const Name of ['joined', 'unused']) {
          await host.api('POST', '/networks/create', { Name, Driver: 'overlay', Attachable: true });
        }
        await host.api('POST', '/services/create', meshedOf(field));
        await field.runs('meshed', 1, host);
        await host.api('POST', '/services/create', specOf(field));
        const ContainerSpec = { Image: field.image('sleeper:1') };
        const plain = { Name: 'plain', TaskTemplate: { ContainerSpec } };
        await host.api('POST', '/services/create', {
          ...plain,
          Mode: { Replicated: { Replicas: 0 } },
          EndpointSpec: { Mode: 'vip' },
        });
        await makeFiles(host, { Name: 'keeper', Mode: { Replicated: { Replicas: 0 } } });
        await field.runs('web', 1, host);
        await field.runs('plain', 0, host);
      }
    });
    after(async () => {
      await get().clear();
      for (const host of [get().manager, get().dockerd]) {
        await until('the networks are removed', async () => {
          const names = ['joined', 'unused'];
          await removeFiles(host);
          const gone = names.map((name) => host.apiResult('DELETE', `/networks/${name}`));
          return (await Promise.all(gone)).every(({ status }) => status === 204 || status === 404);
        });
      }
    });

    for (const path of paths) {
      it(`GET ${path}`, async () => {
        const field = get();
        const ask = async (host: Host) => {
          const [task] = path.includes('{task}') ? await field.tasks('web', host) : [];
          const real = path
            .replace('{task}', task?.ID ?? '')
            .replace('{host}', host.name)
            .replace('{name}', field.image('talker'))
            .replace('{image}', encodeURIComponent(field.image('talker:1')));
          return host.api<unknown>('GET', encodeURI(`${version}${real}`).replaceAll('%25', '%'));
        };
        const found = compare(await ask(field.manager), await ask(field.dockerd), '');
        const of = `GET ${path}`;
        const unexpected = found.filter((line) => {
          if (ignored.some((pattern) => pattern.test(line))) return false;
          const listed = differences.find((one) => isOf(one.of, of) && one.what.test(line));
          used.add(listed);
          return listed === undefined;
        });
        assert.deepEqual(unexpected, [], of);
      });
    }

    for (const kind of ['secrets', 'configs']) {
      it(`POST /${kind}/{id}/update`, async () => {
        const update = async (host: Host) => {
          const path = `${version}/${kind}/plain`;
          interface Found {
            readonly Version: { readonly Index: number };
            readonly Spec: object;
          }
          const { Version, Spec } = await host.api<Found>('GET', path);
          const changed = { ...Spec, Labels: { a: 'c' } };
          const at = `${path}/update?version=${Version.Index}`;
          const { status, body } = await host.apiResult('POST', at, changed);
          const after = await host.api<{ Spec: object }>('GET', path);
          return { status, body, spec: after.Spec };
        };
        const [ours, theirs] = await Promise.all([get().manager, get().dockerd].map(update));
        assert.deepEqual(ours, theirs);
        assert.equal(ours?.status, 200);
      });
    }

    it('GET and HEAD /_ping', async () => {
      for (const method of ['GET', 'HEAD']) {
        const ask = (host: Host) => host.apiResult(method, '/_ping');
        const [ours, theirs] = await Promise.all([get().manager, get().dockerd].map(ask));
        assert.equal(ours?.status, theirs?.status);
        assert.equal(ours?.body, theirs?.body);
        const kept = ['ostype', 'docker-experimental', 'content-type', 'cache-control', 'pragma'];
        for (const name of kept) assert.equal(ours?.headers[name], theirs?.headers[name], name);
        assert.match(String(ours?.headers['api-version']), /^1\.\d+$/);
      }
    });

    it('the events of a service’s life', async () => {
      const [ours, theirs] = await Promise.all([get().manager, get().dockerd].map(lifeOf(get())));
      assert.deepEqual(
        ours?.map(({ Type, Action, scope }) => [Type, Action, scope]),
        theirs?.map(({ Type, Action, scope }) => [Type, Action, scope]),
      );
      const keys = (events: readonly WireEvent[] = []) =>
        events.map(({ Actor }) => Object.keys(Actor.Attributes).toSorted());
      assert.deepEqual(keys(ours), keys(theirs));
      assert.deepEqual(compare(ours, theirs, ''), []);
    });

    it('has no difference listed that is there no more', () => {
      assert.deepEqual(
        differences.filter((difference) => !used.has(difference)),
        [],
      );
    });
  });
}

/** A difference of "GET /services" is one of "GET /services?status=true" as well. */
function isOf(listed: string, path: string): boolean {
  return path === listed || path.startsWith(`${listed}?`);
}

function specOf(field: Field): unknown {
  return {
    Name: 'web',
    Labels: { a: 'b' },
    TaskTemplate: {
      ContainerSpec: { Image: field.image('sleeper:1'), Env: ['A=1'], Labels: { c: 'd' } },
      Resources: { Limits: { MemoryBytes: 64 * 2 ** 20 } },
      RestartPolicy: { Condition: 'any', Delay: 1_000_000_000 },
      Placement: { Constraints: ['node.role==manager'] },
    },
    Mode: { Replicated: { Replicas: 1 } },
    UpdateConfig: { Parallelism: 1 },
    EndpointSpec: { Ports: [{ TargetPort: 80, PublishedPort: 18_090, PublishMode: 'host' }] },
  };
}

/** On a network and on the routing mesh. */
function meshedOf(field: Field): unknown {
  return {
    Name: 'meshed',
    TaskTemplate: {
      ContainerSpec: { Image: field.image('sleeper:1') },
      Networks: [{ Target: 'joined', Aliases: ['www'] }],
      Placement: { Constraints: ['node.role==manager'] },
    },
    Mode: { Replicated: { Replicas: 1 } },
    EndpointSpec: { Mode: 'vip', Ports: [{ TargetPort: 80, PublishedPort: 18_091 }] },
  };
}

/** Secrets and configs, and a service that has one of each. */
async function makeFiles(host: Host, service: object): Promise<void> {
  const references: Record<string, object[]> = {};
  for (const kind of ['Secret', 'Config']) {
    const path = `/${kind.toLowerCase()}s/create`;
    const plain = { Name: 'plain', Labels: { a: 'b' }, Data: 'eA==' };
    const { ID } = await host.api<{ ID: string }>('POST', path, plain);
    const Templating = { Name: 'golang' };
    await host.api('POST', path, { Name: 'template', Data: 'eA==', Templating });
    const File = { Name: 'x', UID: '0', GID: '0', Mode: 0o444 };
    references[`${kind}s`] = [{ [`${kind}ID`]: ID, [`${kind}Name`]: 'plain', File }];
  }
  const ContainerSpec = { Image: 'nobody:1', ...references };
  await host.api('POST', '/services/create', { ...service, TaskTemplate: { ContainerSpec } });
}

async function removeFiles(host: Host): Promise<void> {
  for (const kind of ['secrets', 'configs']) {
    for (const { ID } of await host.api<{ ID: string }[]>('GET', `/${kind}`)) {
      await host.apiResult('DELETE', `/${kind}/${ID}`);
    }
  }
}

async function pulled(field: Field): Promise<void> {
  const image = encodeURIComponent(field.image('talker:1'));
  for (const host of [field.manager, field.dockerd]) {
    const { status } = await host.apiResult('POST', `/images/create?fromImage=${image}`);
    assert.equal(status, 200);
  }
}

interface WireEvent {
  readonly Type: string;
  readonly Action: string;
  readonly scope: string;
  readonly Actor: { readonly ID: string; readonly Attributes: Record<string, string> };
}

/** What is told of a service that is created, scaled and removed. */
function lifeOf(field: Field): (host: Host) => Promise<WireEvent[]> {
  return async (host) => {
    const spec = {
      Name: 'life',
      TaskTemplate: { ContainerSpec: { Image: field.image('sleeper:1') } },
      Mode: { Replicated: { Replicas: 0 } },
    };
    const since = Math.floor(Date.now() / 1000);
    await host.api('POST', '/services/create', spec);
    const { Version: at } = await host.api<{ Version: { Index: number } }>('GET', '/services/life');
    const scaled = { ...spec, Mode: { Replicated: { Replicas: 1 } } };
    await host.api('POST', `/services/life/update?version=${at.Index}`, scaled);
    await host.api('DELETE', '/services/life');
    const filters = encodeURIComponent(JSON.stringify({ type: ['service'], service: ['life'] }));
    return until(
      'the removal is told',
      async () => {
        const end = Math.floor(Date.now() / 1000) + 1;
        const path = `/events?since=${since}&until=${end}&filters=${filters}`;
        const { body } = await host.apiResult('GET', `${version}${path}`);
        const lines = body.split('\n').filter((line) => line !== '');
        return lines.map((line) => JSON.parse(line) as WireEvent);
      },
      { accept: (events) => events.some(({ Action }) => Action === 'remove') },
    );
  };
}

/** What differs in fields and types, as lines; of arrays, the first elements stand for all. */
export function compare(ours: unknown, theirs: unknown, path: string): string[] {
  const [a, b] = [typeOf(ours), typeOf(theirs)];
  if (a !== b) return [`${path} is ${a}, not ${b}`];
  if (Array.isArray(ours) && Array.isArray(theirs)) {
    if (theirs.length > 0 && ours.length === 0) return [`${path} is empty`];
    return theirs.length === 0 ? [] : compare(ours[0], theirs[0], `${path}[]`);
  }
  if (a !== 'object') return [];
  const [mine, other] = [ours as Record<string, unknown>, theirs as Record<string, unknown>];
  return [...new Set([...Object.keys(mine), ...Object.keys(other)])].flatMap((key) => {
    if (!Object.hasOwn(mine, key)) return [`${path}.${key} is missing`];
    if (!Object.hasOwn(other, key)) return [`${path}.${key} is extra`];
    return compare(mine[key], other[key], `${path}.${key}`);
  });
}

function typeOf(value: unknown): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'array' : typeof value;
}
