/** Documents as Docker Engine gives them, byte for byte where clients look. */
import { strict as assert } from 'node:assert';
import { assert as check, bigInt, integer, property } from 'fast-check';
import { makeNode, makeService, makeTask } from '../../manager/store/testing.ts';
import { serviceSpec, swarmSpec, type Cluster } from '../../types/index.ts';
import { testHost, testImage } from '../testing.ts';
import { withServiceDefaults } from './defaults.ts';
import { eventJson, imageEvent, objectEvent } from './event.ts';
import { imageInspectJson, imageSummaryJson } from './image.ts';
import { infoJson, swarmInfoJson, versionJson } from './info.ts';
import { containerLogFrame, logFrame } from './log-frame.ts';
import { nodeJson } from './node.ts';
import { serviceJson, serviceStatus } from './service.ts';
import { swarmJson } from './swarm.ts';
import { taskJson } from './task.ts';
import { fixedTimeText, parseUnixTime, timeText } from './time.ts';

const meta = { version: 12, createdAtMs: 1_700_000_000_120, updatedAtMs: 1_700_000_001_000 };
const metaJson = {
  Version: { Index: 12 },
  CreatedAt: '2023-11-14T22:13:20.12Z',
  UpdatedAt: '2023-11-14T22:13:21Z',
};

/** As a client reads it. */
function wire(document: unknown): unknown {
  return JSON.parse(JSON.stringify(document));
}

describe('times', () => {
  it('are written as Go writes them', () => {
    assert.equal(timeText(0), '1970-01-01T00:00:00Z');
    assert.equal(timeText(1_709_208_000_000), '2024-02-29T12:00:00Z');
    assert.equal(timeText(1_709_208_000_050), '2024-02-29T12:00:00.05Z');
    assert.equal(fixedTimeText(1_709_208_000_000_000_007n), '2024-02-29T12:00:00.000000007Z');
  });

  it('are the right ones, whenever it is', () => {
    check(
      property(integer({ min: 0, max: 4_000_000_000_000 }), (ms) => {
        const text = timeText(ms);
        return Date.parse(text) === ms && !/\.\d*0Z$/.test(text);
      }),
    );
    check(
      property(bigInt({ min: 0n, max: 4_000_000_000_000_000_000n }), (ns) => {
        const ms = Number(ns / 1_000_000n);
        return fixedTimeText(ns).startsWith(new Date(ms).toISOString().slice(0, 23));
      }),
    );
  });

  it('are read as seconds with a fraction', () => {
    assert.equal(parseUnixTime('1136073600.25'), 1_136_073_600_250);
    assert.equal(parseUnixTime('5'), 5000);
    for (const text of ['', 'x', '1e5', '1.', '2024-01-01']) {
      assert.equal(parseUnixTime(text), undefined, text);
    }
  });
});

describe('a service', () => {
  const spec = serviceSpec.decode(
    {
      Name: 'web',
      TaskTemplate: {
        ContainerSpec: { Image: 'web:1', StopGracePeriod: 2_000_000_000 },
        RestartPolicy: { Delay: 1_500_000 },
      },
      Mode: { Replicated: { Replicas: 2 } },
      EndpointSpec: { Ports: [{ TargetPort: 80, PublishedPort: 8080, PublishMode: 'host' }] },
    },
    '',
  );
  const service = makeService('s1', { meta, spec, specVersion: 3 });
  const port = { Protocol: 'tcp', TargetPort: 80, PublishedPort: 8080, PublishMode: 'host' };

  it('is written with Docker’s names and durations', () => {
    assert.deepEqual(wire(serviceJson(service)), {
      ID: 's1',
      ...metaJson,
      Spec: {
        Name: 'web',
        Labels: {},
        TaskTemplate: {
          ContainerSpec: {
            Image: 'web:1',
            StopGracePeriod: 2_000_000_000,
            Isolation: 'default',
          },
          RestartPolicy: { Condition: 'any', Delay: 1_500_000, MaxAttempts: 0 },
          ForceUpdate: 0,
          Runtime: 'container',
        },
        Mode: { Replicated: { Replicas: 2 } },
        EndpointSpec: { Mode: 'vip', Ports: [port] },
      },
      Endpoint: { Spec: { Mode: 'vip', Ports: [port] }, Ports: [port] },
    });
  });

  it('shows its update and its status, but never its credentials', () => {
    const updateStatus = { state: 'updating', startedAtMs: 1000, message: 'busy' } as const;
    const json = wire(
      serviceJson(
        { ...service, updateStatus, registryAuth: 'hush', previousRegistryAuth: 'hush' },
        { running: 1, desired: 2, completed: 0 },
      ),
    ) as Record<string, unknown>;
    assert.deepEqual(json['UpdateStatus'], {
      State: 'updating',
      StartedAt: '1970-01-01T00:00:01Z',
      Message: 'busy',
    });
    assert.deepEqual(json['ServiceStatus'], {
      RunningTasks: 1,
      DesiredTasks: 2,
      CompletedTasks: 0,
    });
    assert.ok(!JSON.stringify(json).includes('hush'));
  });

  it('shows defaults when asked, without overwriting what was given', () => {
    const full = withServiceDefaults(spec);
    assert.equal(full.task.container?.stopGracePeriodMs, 2000);
    assert.deepEqual(full.task.restartPolicy, { condition: 'any', delayMs: 1.5 });
    assert.equal(full.updateConfig?.monitorMs, 5000);
  });

  it('counts what runs and what is wanted', () => {
    const status = (state: 'running' | 'failed') => ({ state, atMs: 0, message: '' });
    const tasks = [
      makeTask('a', service, { status: status('running') }),
      makeTask('b', service, { status: status('failed'), desiredState: 'shutdown' }),
      makeTask('c', service),
      makeTask('d', service, { status: status('running'), desiredState: 'shutdown' }),
    ];
    const expected = { running: 1, desired: 2, completed: 0 };
    assert.deepEqual(serviceStatus(service, tasks), expected);
    const global = { ...service, spec: { ...spec, mode: { global: {} } } };
    assert.deepEqual(serviceStatus(global, tasks), expected);
  });
});

describe('a task', () => {
  const service = makeService('s1');

  it('is written with what is known of it', () => {
    const task = makeTask('t1', service, {
      meta,
      slot: 3,
      nodeId: 'n1',
      status: {
        state: 'failed',
        atMs: 1_700_000_001_000,
        message: 'started',
        err: 'task: non-zero exit (1)',
        container: { containerId: 'abc', pid: 7, exitCode: 1 },
        ports: [{ protocol: 'tcp', targetPort: 80, publishedPort: 30_000, publishMode: 'host' }],
      },
      desiredState: 'shutdown',
    });
    const { Spec: spec, ...rest } = wire(taskJson(task)) as Record<string, unknown>;
    assert.deepEqual(rest, {
      ID: 't1',
      ...metaJson,
      Name: 's1.1.t1',
      Labels: {},
      ServiceID: 's1',
      Slot: 3,
      NodeID: 'n1',
      Status: {
        Timestamp: '2023-11-14T22:13:21Z',
        State: 'failed',
        Message: 'started',
        Err: 'task: non-zero exit (1)',
        ContainerStatus: { ContainerID: 'abc', PID: 7, ExitCode: 1 },
        PortStatus: {
          Ports: [{ Protocol: 'tcp', TargetPort: 80, PublishedPort: 30_000, PublishMode: 'host' }],
        },
      },
      DesiredState: 'shutdown',
    });
    assert.deepEqual(spec, {
      ContainerSpec: { Image: 'web:1', Isolation: 'default' },
      ForceUpdate: 0,
      Runtime: 'container',
    });
  });

  it('has no node and no slot before it is given them', () => {
    const json = wire(taskJson(makeTask('t1', service, { slot: 0 }))) as Record<string, unknown>;
    assert.ok(!('NodeID' in json) && !('Slot' in json));
    assert.deepEqual((json['Status'] as Record<string, unknown>)['PortStatus'], {});
  });
});

describe('a node', () => {
  const tlsInfo = { trustRoot: 'pem', issuerSubject: 'c3Vi', issuerPublicKey: 'a2V5' };

  it('that leads says so', () => {
    const node = makeNode('n1', {
      meta,
      role: 'manager',
      spec: { labels: { zone: 'a' }, role: 'manager', availability: 'active' },
      description: {
        hostname: 'h1',
        platform: { architecture: 'x86_64', os: 'linux' },
        resources: { nanoCpus: 2e9, memoryBytes: 1024 },
        engine: { version: '0.1.0', labels: {}, plugins: [{ type: 'Network', name: 'bridge' }] },
      },
      manager: { addr: '10.0.0.1:2377', leader: true },
    });
    assert.deepEqual(wire(nodeJson(node, tlsInfo)), {
      ID: 'n1',
      ...metaJson,
      Spec: { Labels: { zone: 'a' }, Role: 'manager', Availability: 'active' },
      Description: {
        Hostname: 'h1',
        Platform: { Architecture: 'x86_64', OS: 'linux' },
        Resources: { NanoCPUs: 2_000_000_000, MemoryBytes: 1024 },
        Engine: { EngineVersion: '0.1.0', Plugins: [{ Type: 'Network', Name: 'bridge' }] },
        TLSInfo: { TrustRoot: 'pem', CertIssuerSubject: 'c3Vi', CertIssuerPublicKey: 'a2V5' },
      },
      Status: { State: 'ready', Addr: '10.0.0.1' },
      ManagerStatus: { Leader: true, Reachability: 'reachable', Addr: '10.0.0.1:2377' },
    });
  });

  it('is no manager that could be reached where it has lost its log', () => {
    const description = {
      hostname: 'h1',
      platform: { architecture: 'x86_64', os: 'linux' },
      resources: { nanoCpus: 2e9, memoryBytes: 1024 },
      engine: { version: '0.1.0', labels: {}, plugins: [] },
    };
    const manager = { addr: '10.0.0.1:2377', leader: false };
    const seen = [{}, { standsIn: true }].map((more) => {
      const node = makeNode('n1', { manager, description: { ...description, ...more } });
      const { Status, ManagerStatus } = wire(nodeJson(node, undefined)) as JsonNode;
      return `${Status.State} ${ManagerStatus.Reachability}`;
    });
    assert.deepEqual(seen, ['ready reachable', 'ready unreachable']);
  });

  it('that has not said anything yet is written too', () => {
    const down = { state: 'down', message: 'heartbeat failure', addr: '', atMs: 0 } as const;
    const json = wire(nodeJson(makeNode('n1', { status: down }), undefined));
    assert.deepEqual((json as Record<string, unknown>)['Status'], {
      State: 'down',
      Message: 'heartbeat failure',
      Addr: '',
    });
    assert.ok(!('ManagerStatus' in (json as object)));
  });
});

interface JsonNode {
  readonly Status: { readonly State: string };
  readonly ManagerStatus: { readonly Reachability: string };
}

describe('the swarm', () => {
  const cluster: Cluster = {
    id: 'c1',
    meta,
    spec: swarmSpec.decode({ CAConfig: { SigningCAKey: 'hush', SigningCACert: 'cert' } }, ''),
    rootCa: { certPem: 'pem', keyPem: 'hush', joinTokens: { worker: 'w', manager: 'm' } },
    dataPathPort: 4789,
    defaultAddressPools: ['10.0.0.0/8'],
    subnetSize: 24,
    removedNodes: {},
  };

  it('shows its settings in full, and no key', () => {
    const json = wire(swarmJson(cluster, undefined));
    assert.deepEqual(json, {
      ID: 'c1',
      ...metaJson,
      Spec: {
        Name: 'default',
        Labels: {},
        Orchestration: { TaskHistoryRetentionLimit: 5 },
        Raft: {
          SnapshotInterval: 10_000,
          KeepOldSnapshots: 0,
          LogEntriesForSlowFollowers: 500,
          ElectionTick: 10,
          HeartbeatTick: 1,
        },
        Dispatcher: { HeartbeatPeriod: 5_000_000_000 },
        CAConfig: { NodeCertExpiry: 7_776_000_000_000_000 },
        TaskDefaults: {},
        EncryptionConfig: { AutoLockManagers: false },
      },
      TLSInfo: {},
      RootRotationInProgress: false,
      DataPathPort: 4789,
      DefaultAddrPool: ['10.0.0.0/8'],
      SubnetSize: 24,
      JoinTokens: { Worker: 'w', Manager: 'm' },
    });
  });
});

describe('the engine', () => {
  it('tells its versions in both of Docker’s forms', () => {
    const facts = { version: '0.1.0', host: testHost, nodeVersion: 'v24' };
    const json = wire(versionJson(facts)) as Record<string, unknown>;
    assert.equal(json['ApiVersion'], '1.50');
    assert.equal(json['MinAPIVersion'], '1.24');
    assert.equal(json['Arch'], 'amd64');
    const [engine] = json['Components'] as { Details: Record<string, string> }[];
    assert.equal(engine?.Details['ApiVersion'], '1.50');
  });

  it('tells what its version of the API has, and no more', () => {
    const facts = {
      version: '0.1.0',
      dataRoot: '/d',
      host: testHost,
      systemTime: '',
      eventListeners: 0,
      swarm: {},
      warnings: [],
    };
    const of = (minor: number) => wire(infoJson({ ...facts, minor })) as Record<string, unknown>;
    assert.deepEqual(of(50)['DiscoveredDevices'], [{ Source: 'cdi', ID: 'vendor.com/gpu=0' }]);
    assert.deepEqual(of(49)['FirewallBackend'], { Driver: 'nftables' });
    assert.deepEqual(of(49)['RuncCommit'], { ID: '' });
    assert.deepEqual(of(48)['RuncCommit'], { ID: '', Expected: '' });
    const has = (minor: number, key: string) => Object.hasOwn(of(minor), key);
    assert.deepEqual([has(49, 'DiscoveredDevices'), has(48, 'FirewallBackend')], [false, false]);
    assert.deepEqual([has(49, 'BridgeNfIptables'), has(50, 'BridgeNfIptables')], [true, false]);
    const registries = (minor: number) => Object.keys(of(minor)['RegistryConfig'] as object);
    assert.ok(registries(48).includes('AllowNondistributableArtifactsCIDRs'));
    assert.ok(!registries(49).includes('AllowNondistributableArtifactsCIDRs'));
  });

  it('sorts insecure registries into names and networks', () => {
    const status = {
      state: 'inactive',
      error: '',
      nodeId: '',
      nodeAddr: '',
      isManager: false,
      remoteManagers: [],
    } as const;
    const json = wire(
      infoJson({
        minor: 50,
        version: '0.1.0',
        dataRoot: '/d',
        host: testHost,
        systemTime: '',
        eventListeners: 0,
        swarm: swarmInfoJson({ status }),
        warnings: [],
      }),
    ) as Record<string, Record<string, unknown>>;
    const registries = json['RegistryConfig'] ?? {};
    assert.deepEqual(registries['InsecureRegistryCIDRs'], ['::1/128', '127.0.0.0/8', '10.0.0.0/8']);
    assert.ok('10.99.0.254:5000' in (registries['IndexConfigs'] as object));
    assert.equal(json['Swarm']?.['RemoteManagers'], null);
    assert.equal(json['Swarm']?.['ControlAvailable'], false);
  });
});

describe('images', () => {
  it('are listed and inspected', () => {
    const createdAtMs = Date.parse(testImage.createdAt);
    const summary = wire(imageSummaryJson(testImage, createdAtMs, { minor: 50 })) as Record<
      string,
      unknown
    >;
    assert.equal(summary['Created'], 1_767_323_045);
    assert.deepEqual(summary['Labels'], { tier: 'web' });
    const json = wire(imageInspectJson(testImage, { minor: 50 })) as Record<string, unknown>;
    assert.deepEqual(json['RootFS'], { Type: 'layers', Layers: [`sha256:${'01'.repeat(32)}`] });
    assert.equal(json['Os'], 'linux');
  });
});

describe('images of older versions of the API', () => {
  const keysOf = (minor: number) => ({
    listed: Object.keys(imageSummaryJson(testImage, 0, { minor })),
    inspected: Object.keys(imageInspectJson(testImage, { minor })),
    config: Object.keys(imageInspectJson(testImage, { minor })['Config'] as object),
  });
  const cases: readonly (readonly [key: string, first: number, last: number])[] = [
    ['VirtualSize', 24, 43],
    ['Descriptor', 48, 50],
  ];
  for (const [key, first, last] of cases) {
    it(`have ${key} from 1.${first} to 1.${last}`, () => {
      for (let minor = 24; minor <= 50; minor += 1) {
        const { listed, inspected } = keysOf(minor);
        const isThere = minor >= first && minor <= last;
        assert.deepEqual([listed.includes(key), inspected.includes(key)], [isThere, isThere]);
      }
    });
  }

  it('have fields of containers until 1.49', () => {
    assert.ok(keysOf(49).config.includes('Hostname'));
    assert.ok(!keysOf(50).config.includes('Hostname'));
    assert.ok(keysOf(50).config.includes('OnBuild'));
  });
});

describe('events', () => {
  const old = makeService('s1');
  const scaled = { ...old, spec: { ...old.spec, mode: { replicated: { replicas: 3 } } } };

  it('tell what changed', () => {
    const event = objectEvent({
      table: 'service',
      action: 'update',
      object: scaled,
      old,
      index: 5,
      atMs: 1_700_000_000_123,
    });
    assert.ok(event !== undefined);
    assert.equal(
      JSON.stringify(eventJson(event)),
      '{"Type":"service","Action":"update","Actor":{"ID":"s1","Attributes":{"name":"s1",' +
        '"replicas.old":"1","replicas.new":"3"}},"scope":"swarm","time":1700000000,' +
        '"timeNano":1700000000123000000}',
    );
  });

  it('of nodes tell their state, and tasks none', () => {
    const node = makeNode('n1');
    const down = { ...node, status: { ...node.status, state: 'down' as const } };
    const at = { index: 1, atMs: 0 };
    const event = objectEvent({ table: 'node', action: 'update', object: down, old: node, ...at });
    assert.deepEqual(event?.attributes, { name: '', 'state.old': 'ready', 'state.new': 'down' });
    const task = makeTask('t1', old);
    assert.equal(objectEvent({ table: 'task', action: 'create', object: task, ...at }), undefined);
  });

  it('of images carry Docker’s older fields too', () => {
    const json = eventJson(imageEvent({ action: 'pull', id: 'web:1', name: 'web', timeMs: 0 }));
    assert.equal(json['status'], 'pull');
    assert.equal(json['id'], 'web:1');
  });
});

describe('log frames', () => {
  const task = makeTask('t1', makeService('s1'), { nodeId: 'n1' });
  const line = { timeNs: 1_000_000_001n, stream: 'stderr', data: Buffer.from('hi\n') } as const;

  it('have a header of eight bytes', () => {
    const style = { timestamps: false, details: false, framed: true };
    assert.deepEqual(
      [...logFrame(task, line, style)],
      [2, 0, 0, 0, 0, 0, 0, 3, ...Buffer.from('hi\n')],
    );
  });

  it('name time and place when asked, and have no header on a terminal', () => {
    const frame = logFrame(task, line, { timestamps: true, details: true, framed: false });
    assert.equal(
      Buffer.from(frame).toString(),
      '1970-01-01T00:00:01.000000001Z com.docker.swarm.node.id=n1,' +
        'com.docker.swarm.service.id=s1,com.docker.swarm.task.id=t1 hi\n',
    );
  });

  it("tell what a container's log has besides the line, as Docker escapes it", () => {
    const style = { timestamps: true, details: true, framed: false };
    const attributes = { tag: 'a/b c', 'com.example.tier': 'x,y' };
    assert.equal(
      Buffer.from(containerLogFrame({ ...line, attributes }, style)).toString(),
      '1970-01-01T00:00:01.000000001Z com.example.tier=x%2Cy,tag=a%2Fb+c hi\n',
    );
    const frame = containerLogFrame(line, { ...style, timestamps: false });
    assert.equal(Buffer.from(frame).toString(), ' hi\n');
  });
});
