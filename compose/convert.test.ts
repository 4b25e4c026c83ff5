/** What a swarm is asked for, and what is said where it cannot be. */
import { strict as assert } from 'node:assert';
import { serviceSpec } from '../types/index.ts';
import { composeText, indented } from './testing.ts';

interface Json {
  readonly [key: string]: Json;
}

/** The spec of the service `web`, whose lines are given, as the API gets it. */
function spec(lines: string, rest = '', more = {}): Json {
  const text = `services:\n  web:\n    image: a\n${indented(lines)}\n${rest}`;
  const { stack } = composeText(text, more);
  const found = stack.services.find(({ key }) => key === 'web');
  return serviceSpec.encode(found!.spec) as Json;
}

function at(json: Json, path: string): unknown {
  return path.split('.').reduce<Json | undefined>((value, key) => value?.[key], json);
}

const containerPath = 'TaskTemplate.ContainerSpec';

describe('compose/convert', () => {
  it('names everything for the stack, as Docker does', () => {
    const { stack } = composeText(
      'services: {web: {image: "w:1", labels: {a: "1"}, deploy: {labels: [b=2]}}}',
    );
    const [service] = stack.services;
    assert.deepEqual(serviceSpec.encode(service!.spec), {
      Name: 'shop_web',
      Labels: {
        b: '2',
        'com.docker.stack.namespace': 'shop',
        'com.docker.stack.image': 'w:1',
      },
      TaskTemplate: {
        ContainerSpec: {
          Image: 'w:1',
          Labels: { a: '1', 'com.docker.stack.namespace': 'shop' },
        },
        Resources: {},
        Placement: {},
        Networks: [{ Target: 'shop_default', Aliases: ['web'] }],
        ForceUpdate: 0,
      },
      Mode: { Replicated: { Replicas: 1 } },
      EndpointSpec: {},
    });
    assert.deepEqual(
      stack.networks.map(({ name }) => name),
      ['shop_default'],
    );
  });

  const values: { lines: string; path: string; expect: unknown; rest?: string }[] = [
    { lines: 'command: echo "a b" c', path: `${containerPath}.Args`, expect: ['echo', 'a b', 'c'] },
    { lines: 'entrypoint: [a, 1]', path: `${containerPath}.Command`, expect: ['a', '1'] },
    {
      lines: 'environment: {B: 2, A: "x", T: true, HOME:, NONE:}',
      path: `${containerPath}.Env`,
      expect: ['A=x', 'B=2', 'HOME=/home/me', 'T=true'],
    },
    { lines: 'user: 1000:1000', path: `${containerPath}.User`, expect: '1000:1000' },
    { lines: 'stop_grace_period: 1m30s', path: `${containerPath}.StopGracePeriod`, expect: 9e10 },
    { lines: 'init: true', path: `${containerPath}.Init`, expect: true },
    { lines: 'read_only: "true"', path: `${containerPath}.ReadOnly`, expect: true },
    { lines: 'group_add: [1, g]', path: `${containerPath}.Groups`, expect: ['1', 'g'] },
    { lines: 'cap_drop: [ALL]', path: `${containerPath}.CapabilityDrop`, expect: ['ALL'] },
    { lines: 'sysctls: {a.b: 1}', path: `${containerPath}.Sysctls`, expect: { 'a.b': '1' } },
    {
      lines: 'ulimits: {nproc: 5, nofile: {soft: 1, hard: 2}}',
      path: `${containerPath}.Ulimits`,
      expect: [
        { Name: 'nofile', Soft: 1, Hard: 2 },
        { Name: 'nproc', Soft: 5, Hard: 5 },
      ],
    },
    {
      lines: 'extra_hosts: ["a:1.2.3.4", "b=::1"]',
      path: `${containerPath}.Hosts`,
      expect: ['1.2.3.4 a', '::1 b'],
    },
    {
      lines: 'dns: 1.1.1.1\ndns_search: [a.b]\ndns_opt: ["ndots:2"]',
      path: `${containerPath}.DNSConfig`,
      expect: { Nameservers: ['1.1.1.1'], Search: ['a.b'], Options: ['ndots:2'] },
    },
    {
      lines: 'healthcheck: {test: curl x, interval: 5s, retries: 3, start_period: 500ms}',
      path: `${containerPath}.Healthcheck`,
      expect: { Test: ['CMD-SHELL', 'curl x'], Interval: 5e9, StartPeriod: 5e8, Retries: 3 },
    },
    {
      lines: 'healthcheck: {disable: true}',
      path: `${containerPath}.Healthcheck`,
      expect: { Test: ['NONE'] },
    },
    {
      lines: 'security_opt: ["no-new-privileges:true", seccomp=unconfined]',
      path: `${containerPath}.Privileges`,
      expect: { NoNewPrivileges: true, Seccomp: { Mode: 'unconfined' } },
    },
    {
      lines: 'shm_size: 1m\ntmpfs: /run:size=2m,mode=1777',
      path: `${containerPath}.Mounts`,
      expect: [
        { Type: 'tmpfs', Target: '/run', TmpfsOptions: { SizeBytes: 2097152, Mode: 0o1777 } },
        { Type: 'tmpfs', Target: '/dev/shm', TmpfsOptions: { SizeBytes: 1048576 } },
      ],
    },
    {
      lines: 'volumes: [{type: volume, source: v, target: /d, volume: {nocopy: true}}]',
      rest: 'volumes: {v: {driver: d, driver_opts: {o: 1}, labels: {l: x}}}',
      path: `${containerPath}.Mounts`,
      expect: [
        {
          Type: 'volume',
          Source: 'shop_v',
          Target: '/d',
          VolumeOptions: {
            NoCopy: true,
            Labels: { l: 'x', 'com.docker.stack.namespace': 'shop' },
            DriverConfig: { Name: 'd', Options: { o: '1' } },
          },
        },
      ],
    },
    {
      lines: 'volumes: [{type: image, source: "i:1", target: /i, image: {subpath: a/b}}]',
      path: `${containerPath}.Mounts`,
      expect: [{ Type: 'image', Source: 'i:1', Target: '/i', ImageOptions: { Subpath: 'a/b' } }],
    },
    {
      lines:
        'volumes: [{type: cluster, source: v, target: /d}, ' +
        '{type: cluster, source: "group:g", target: /g, read_only: true}, ' +
        '{type: cluster, source: own, target: /o}]',
      rest: 'volumes: {v: {external: true, name: other}, own: {}}',
      path: `${containerPath}.Mounts`,
      expect: [
        { Type: 'cluster', Source: 'other', Target: '/d' },
        { Type: 'cluster', Source: 'group:g', Target: '/g', ReadOnly: true },
        { Type: 'cluster', Source: 'shop_own', Target: '/o' },
      ],
    },
    {
      lines: 'volumes: ["v:/d", "~/x:/x:rslave"]',
      rest: 'volumes: {v: {external: true, name: other}}',
      path: `${containerPath}.Mounts`,
      expect: [
        { Type: 'volume', Source: 'other', Target: '/d' },
        {
          Type: 'bind',
          Source: '/home/me/x',
          Target: '/x',
          BindOptions: { Propagation: 'rslave', CreateMountpoint: true },
        },
      ],
    },
    {
      lines: 'deploy: {resources: {limits: {cpus: "0.5", memory: 64m, pids: 9}}}',
      path: 'TaskTemplate.Resources.Limits',
      expect: { NanoCPUs: 5e8, MemoryBytes: 67108864, Pids: 9 },
    },
    {
      lines: 'cpu_quota: 50000\nmem_limit: 1g\nmem_reservation: 1m',
      path: 'TaskTemplate.Resources',
      expect: {
        Limits: { NanoCPUs: 5e8, MemoryBytes: 2 ** 30 },
        Reservations: { MemoryBytes: 2 ** 20 },
      },
    },
    {
      lines: 'mem_limit: 64m\nmemswap_limit: 96m\nmem_swappiness: 0',
      path: 'TaskTemplate.Resources',
      expect: {
        Limits: { MemoryBytes: 64 * 2 ** 20 },
        SwapBytes: 32 * 2 ** 20,
        MemorySwappiness: 0,
      },
    },
    {
      lines: 'mem_limit: 64m\nmemswap_limit: -1',
      path: 'TaskTemplate.Resources.SwapBytes',
      expect: -1,
    },
    {
      lines:
        'deploy: {resources: {reservations: {generic_resources: ' +
        '[{discrete_resource_spec: {kind: gpu, value: 2}}]}}}',
      path: 'TaskTemplate.Resources.Reservations.GenericResources',
      expect: [{ DiscreteResourceSpec: { Kind: 'gpu', Value: 2 } }],
    },
    {
      lines: 'gpus: [{count: 2}]',
      path: 'TaskTemplate.Resources.Reservations.GenericResources',
      expect: [{ DiscreteResourceSpec: { Kind: 'nvidia.com/gpu', Value: 2 } }],
    },
    {
      lines:
        'deploy: {resources: {reservations: {devices: ' +
        '[{driver: nvidia, count: 1, capabilities: [gpu, utility]}], generic_resources: ' +
        '[{discrete_resource_spec: {kind: fpga, value: 2}}]}}}',
      path: 'TaskTemplate.Resources.Reservations.GenericResources',
      expect: [
        { DiscreteResourceSpec: { Kind: 'fpga', Value: 2 } },
        { DiscreteResourceSpec: { Kind: 'nvidia.com/gpu', Value: 1 } },
      ],
    },
    { lines: 'deploy: {mode: global}', path: 'Mode', expect: { Global: {} } },
    { lines: 'scale: 3', path: 'Mode', expect: { Replicated: { Replicas: 3 } } },
    { lines: 'deploy: {replicas: "0"}', path: 'Mode', expect: { Replicated: { Replicas: 0 } } },
    {
      lines: 'deploy: {mode: replicated-job, replicas: 2}',
      path: 'Mode',
      expect: { ReplicatedJob: { MaxConcurrent: 2, TotalCompletions: 2 } },
    },
    {
      lines:
        'deploy: {placement: {constraints: [node.role==worker], ' +
        'preferences: [{spread: node.labels.z}], max_replicas_per_node: 1}}',
      path: 'TaskTemplate.Placement',
      expect: {
        Constraints: ['node.role==worker'],
        Preferences: [{ Spread: { SpreadDescriptor: 'node.labels.z' } }],
        MaxReplicas: 1,
      },
    },
    {
      lines: 'platform: linux/arm64',
      path: 'TaskTemplate.Placement.Platforms',
      expect: [{ Architecture: 'arm64', OS: 'linux' }],
    },
    { lines: 'restart: "no"', path: 'TaskTemplate.RestartPolicy', expect: { Condition: 'none' } },
    {
      lines: 'restart: on-failure:3',
      path: 'TaskTemplate.RestartPolicy',
      expect: { Condition: 'on-failure', MaxAttempts: 3 },
    },
    {
      lines: 'restart: always\ndeploy: {restart_policy: {condition: none, delay: 1s, window: 2s}}',
      path: 'TaskTemplate.RestartPolicy',
      expect: { Condition: 'none', Delay: 1e9, Window: 2e9 },
    },
    {
      lines: 'deploy: {update_config: {delay: 1s, order: start-first, max_failure_ratio: .5}}',
      path: 'UpdateConfig',
      expect: { Parallelism: 1, Delay: 1e9, MaxFailureRatio: 0.5, Order: 'start-first' },
    },
    {
      lines: 'deploy: {rollback_config: {parallelism: 0, failure_action: continue}}',
      path: 'RollbackConfig',
      expect: { Parallelism: 0, FailureAction: 'continue', MaxFailureRatio: 0 },
    },
    {
      lines: 'ports: ["80", "8000-8001:90-91/udp", {target: 1, published: "2", mode: host}]',
      path: 'EndpointSpec.Ports',
      expect: [
        { Protocol: 'tcp', TargetPort: 80, PublishMode: 'ingress' },
        { Protocol: 'tcp', TargetPort: 1, PublishedPort: 2, PublishMode: 'host' },
        { Protocol: 'udp', TargetPort: 90, PublishedPort: 8000, PublishMode: 'ingress' },
        { Protocol: 'udp', TargetPort: 91, PublishedPort: 8001, PublishMode: 'ingress' },
      ],
    },
    {
      lines: 'logging: {driver: json-file, options: {max-file: 3}}',
      path: 'TaskTemplate.LogDriver',
      expect: { Name: 'json-file', Options: { 'max-file': '3' } },
    },
    {
      lines: 'networks: {b: {aliases: [x], driver_opts: {k: v}}, a: }\ncontainer_name: c',
      rest: 'networks: {a: , b: {external: true}}',
      path: 'TaskTemplate.Networks',
      expect: [
        { Target: 'b', Aliases: ['x', 'c', 'web'], DriverOpts: { k: 'v' } },
        { Target: 'shop_a', Aliases: ['c', 'web'] },
      ],
    },
    { lines: 'network_mode: host', path: 'TaskTemplate.Networks', expect: [{ Target: 'host' }] },
  ];
  for (const { lines, path, expect, rest } of values) {
    it(`reads ${lines.replaceAll('\n', ', ')}`, () => {
      assert.deepEqual(at(spec(lines, rest), path), expect);
    });
  }

  it('reads variables from files, of which later ones and the service itself win', () => {
    const files = { '/p/a.env': 'A=1\nB=$A\nC="x y"', '/p/b.env': 'B=2' };
    const lines =
      'env_file: [a.env, {path: b.env}, {path: none, required: false}]\nenvironment: [C=3]';
    assert.deepEqual(at(spec(lines, '', { files }), `${containerPath}.Env`), ['A=1', 'B=2', 'C=3']);
  });

  it('gives secrets and configs names that go with their content', () => {
    const text = (content: string) => `
services:
  web:
    image: a
    secrets: [pw]
    configs: [{source: conf, target: /etc/c, uid: "5", mode: 0440}, mine]
secrets: {pw: {environment: PW}}
configs: {conf: {content: "${content}"}, mine: {external: true, name: theirs}, none: {file: f}}
`;
    const more = { env: { PW: 'geheim' }, files: { '/p/f': 'x' } };
    const one = composeText(text('1'), more).stack;
    const two = composeText(text('2'), more).stack;
    const names = (stack: typeof one) => stack.configs.map(({ name }) => name);
    assert.match(names(one)[0] ?? '', /^shop_conf_[0-9a-f]{6}$/);
    assert.notEqual(names(one)[0], names(two)[0]);
    assert.equal(names(one)[1], 'theirs');
    assert.equal(names(one)[2], names(two)[2]);
    assert.equal(one.secrets[0]?.name, two.secrets[0]?.name);
    assert.equal(one.secrets[0]?.content?.data, Buffer.from('geheim').toString('base64'));
    const { configs, secrets } = one.services[0]!.spec.task.container!;
    assert.deepEqual(secrets?.[0]?.file, { name: 'pw', uid: '0', gid: '0', mode: 0o444 });
    assert.deepEqual(
      configs?.map(({ file }) => file?.name),
      ['/etc/c', '/mine'],
    );
    assert.deepEqual(configs?.[0]?.file, { name: '/etc/c', uid: '5', gid: '0', mode: 0o440 });
  });

  it('brings services into the order of their dependencies, and links into names', () => {
    const { stack } = composeText(`
services:
  a: {image: x, depends_on: [b], links: ["c:sea"]}
  b: {image: x, depends_on: {c: {condition: service_started}}}
  c: {image: x}
`);
    assert.deepEqual(
      stack.services.map(({ key }) => key),
      ['c', 'b', 'a'],
    );
    assert.deepEqual(stack.services[0]?.spec.task.networks?.[0]?.aliases, ['sea', 'c']);
  });

  it('says what has to be waited for, and makes a job of what others wait to end', () => {
    const { stack } = composeText(`
services:
  web:
    image: x
    depends_on:
      init: {condition: service_completed_successfully}
      db: {condition: service_healthy}
  init: {image: x, depends_on: [db]}
  db: {image: x}
`);
    const [db, init, web] = stack.services;
    assert.deepEqual(
      [db, init, web].map((service) => service?.key),
      ['db', 'init', 'web'],
    );
    assert.deepEqual(init?.spec.mode, {
      replicatedJob: { maxConcurrent: 1, totalCompletions: 1 },
    });
    assert.deepEqual(db?.spec.mode, { replicated: { replicas: 1 } });
    assert.deepEqual(
      [db, init, web].map((service) => service?.spec.labels['ts-swarm.depends-on']),
      [undefined, 'shop_db=started', 'shop_db=healthy,shop_init=completed'],
    );
  });

  it('says what is to be built, and where it is pushed', () => {
    const { stack } = composeText(`
services:
  web:
    image: r.example/web
    platform: linux/amd64
    build:
      context: ./web
      dockerfile: Dockerfile.prod
      args: [A=1, HOME]
      labels: {l: x}
      tags: ["r.example/web:2"]
      target: run
      extra_hosts: {db: 10.0.0.1}
      no_cache: true
      shm_size: 1m
  plain: {image: r.example/plain, build: .}
`);
    const [web, plain] = stack.services.map(({ build }) => build);
    assert.deepEqual(web, {
      context: '/p/web',
      tags: ['r.example/web', 'r.example/web:2'],
      args: { A: '1', HOME: undefined },
      labels: { l: 'x' },
      extraHosts: ['db:10.0.0.1'],
      dockerfile: 'Dockerfile.prod',
      target: 'run',
      platform: 'linux/amd64',
      noCache: true,
      shmBytes: 1048576,
    });
    assert.deepEqual(plain?.context, '/p');
  });

  it('says what is taken otherwise than it is written', () => {
    const { warnings, stack } = composeText(
      'services:\n  a:\n    image: x$N\n    container_name: c\n    networks: [n]\n' +
        'networks:\n  n:\n    driver: bridge\n',
    );
    assert.deepEqual(warnings, [
      'compose.yaml:3:12: the variable N is not set: an empty text takes its place',
      'compose.yaml:4:21: services.a.container_name: tasks have names of their own; "c" is a name on the networks',
      'compose.yaml:8:13: networks.n.driver: a bridge is of one node alone: the network becomes an overlay',
    ]);
    assert.equal(stack.networks[0]?.spec?.driver, 'overlay');
  });

  it('has privileges as labels of the containers', () => {
    const devices = ['/dev/a', '/dev/b:/dev/c', '/dev/d:r', '/dev/e:/dev/f:rw'];
    const long = '{source: /dev/g, target: /dev/h, permissions: r}';
    const lines = `privileged: true\ndevices: [${devices.map((text) => `"${text}"`).join()}, ${long}]`;
    const { TaskTemplate: task } = spec(lines) as unknown as {
      TaskTemplate: { ContainerSpec: { Labels: Record<string, string> } };
    };
    const { 'ts-swarm.privileged': privileged, 'ts-swarm.devices': given } =
      task.ContainerSpec.Labels;
    assert.equal(privileged, 'true');
    assert.equal(given, [...devices, '/dev/g:/dev/h:r'].join());
  });

  it('takes what asks for nothing as nothing', () => {
    const lines = 'privileged: false\ndevices: []\noom_kill_disable: false\ncgroup_parent: ""';
    assert.equal(spec(lines)['Name'], 'shop_web');
  });
});
