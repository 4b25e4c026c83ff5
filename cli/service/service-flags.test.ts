import { strict as assert } from 'node:assert';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { serviceSpec } from '../../types/index.ts';
import { parseArgv } from '../command/argv.ts';
import { parseShellWords } from '../format/parse.ts';
import { draftOf, type SpecDraft } from './draft.ts';
import { applyFlags, specFlags } from './service-flags.ts';
import type { SpecVerb } from './spec-flag.ts';

const env = { FROM_CALLER: 'yes' };

function apply(before: unknown, line: string, verb: SpecVerb): SpecDraft {
  const declared = specFlags(env);
  const flags = declared.flatMap((flag) => flag.flags(verb));
  const spec = draftOf(serviceSpec.decode(before, ''));
  applyFlags(spec, declared, parseArgv(parseShellWords(line), flags).flags, verb);
  return spec;
}

const create = (line: string) => apply({}, line, 'create');
const update = (before: SpecDraft, line: string) =>
  apply(serviceSpec.encode(before), line, 'update');

describe('service/service-flags', () => {
  const created: { line: string; read: (spec: SpecDraft) => unknown; expect: unknown }[] = [
    { line: '', read: (s) => s.mode, expect: { replicated: { replicas: 1 } } },
    { line: '--replicas 3', read: (s) => s.mode, expect: { replicated: { replicas: 3 } } },
    {
      line: '--depends-on db=healthy --depends-on cache',
      read: (s) => s.labels,
      expect: { 'ts-swarm.depends-on': 'db=healthy,cache=started' },
    },
    { line: '--mode global', read: (s) => s.mode, expect: { global: {} } },
    {
      line: '--mode replicated-job --replicas 5 --max-concurrent 2',
      read: (s) => s.mode.replicatedJob,
      expect: { totalCompletions: 5, maxConcurrent: 2 },
    },
    {
      line: '-e A=1 -e A=2 -e FROM_CALLER -e ABSENT',
      read: (s) => s.task.container?.env,
      expect: ['A=2', 'FROM_CALLER=yes', 'ABSENT'],
    },
    { line: '-l a=b -l c', read: (s) => s.labels, expect: { a: 'b', c: '' } },
    {
      line: '--mount type=bind,src=/a,dst=/b,ro,bind-propagation=rshared',
      read: (s) => s.task.container?.mounts,
      expect: [
        {
          type: 'bind',
          source: '/a',
          target: '/b',
          readOnly: true,
          bindOptions: { propagation: 'rshared' },
        },
      ],
    },
    {
      line: '--mount type=tmpfs,target=/t,tmpfs-size=1m,tmpfs-mode=1777',
      read: (s) => s.task.container?.mounts?.[0]?.tmpfsOptions,
      expect: { sizeBytes: 1_048_576, mode: 0o1777 },
    },
    {
      line: '--mount type=image,source=i:1,target=/i,image-subpath=a/b',
      read: (s) => s.task.container?.mounts,
      expect: [{ type: 'image', source: 'i:1', target: '/i', imageOptions: { subpath: 'a/b' } }],
    },
    {
      line: '--mount source=v,target=/v,volume-label=a=b,volume-driver=local,volume-opt=o=x,volume-nocopy',
      read: (s) => s.task.container?.mounts?.[0]?.volumeOptions,
      expect: {
        labels: { a: 'b' },
        driverConfig: { name: 'local', options: { o: 'x' } },
        noCopy: true,
      },
    },
    {
      line: '-p 8080:80 -p 53/udp -p published=1,target=2,mode=host,protocol=sctp',
      read: (s) => s.endpoint?.ports,
      expect: [
        { protocol: 'tcp', targetPort: 80, publishMode: 'ingress', publishedPort: 8080 },
        { protocol: 'udp', targetPort: 53, publishMode: 'ingress' },
        { protocol: 'sctp', targetPort: 2, publishMode: 'host', publishedPort: 1 },
      ],
    },
    {
      line: '-p 8000-8001:80-81',
      read: (s) => s.endpoint?.ports?.map((port) => [port.publishedPort, port.targetPort]),
      expect: [
        [8000, 80],
        [8001, 81],
      ],
    },
    {
      line: '--limit-cpu 1.5 --limit-memory 64m --limit-pids 9 --reserve-memory 1k',
      read: (s) => s.task.resources,
      expect: {
        limits: { nanoCpus: 15e8, memoryBytes: 67_108_864, pids: 9 },
        reservations: { memoryBytes: 1024 },
      },
    },
    {
      line: '--limit-memory 64m --memory-swap 16m --memory-swappiness 10',
      read: (s) => s.task.resources,
      expect: {
        limits: { memoryBytes: 67_108_864 },
        swapBytes: 16_777_216,
        memorySwappiness: 10,
      },
    },
    {
      line: '--restart-max-attempts 3',
      read: (s) => s.task.restartPolicy,
      expect: { condition: 'any', delayMs: 5000, maxAttempts: 3 },
    },
    {
      line: '--update-order start-first --update-parallelism 0',
      read: (s) => s.updateConfig,
      expect: {
        parallelism: 0,
        failureAction: 'pause',
        monitorMs: 5000,
        maxFailureRatio: 0,
        order: 'start-first',
      },
    },
    {
      line: '--constraint node.role==manager --placement-pref spread=node.labels.zone --replicas-max-per-node 2',
      read: (s) => s.task.placement,
      expect: {
        constraints: ['node.role==manager'],
        preferences: [{ spread: { descriptor: 'node.labels.zone' } }],
        maxReplicas: 2,
      },
    },
    {
      line: '--no-healthcheck',
      read: (s) => s.task.container?.healthCheck,
      expect: { test: ['NONE'] },
    },
    {
      line: '--health-cmd "wget -q x" --health-interval 5s --health-retries 2',
      read: (s) => s.task.container?.healthCheck,
      expect: { test: ['CMD-SHELL', 'wget -q x'], intervalMs: 5000, retries: 2 },
    },
    {
      line: '--entrypoint "sh -c" --user 1:2 --workdir /w --hostname h --init --tty=false --read-only',
      read: ({ task: { container: c } }) => [c?.command, c?.user, c?.dir, c?.init, c?.tty],
      expect: [['sh', '-c'], '1:2', '/w', true, false],
    },
    {
      line: '--host a:1.2.3.4 --host b=::1 --dns 8.8.8.8 --dns-search x --dns-option ndots:1',
      read: ({ task: { container: c } }) => [c?.hosts, c?.dnsConfig],
      expect: [
        ['1.2.3.4 a', '::1 b'],
        { nameservers: ['8.8.8.8'], search: ['x'], options: ['ndots:1'] },
      ],
    },
    {
      line: '--cap-add net_admin --cap-drop ALL --sysctl a.b=1 --ulimit nofile=1:2 --group wheel',
      read: ({ task: { container: c } }) => [
        c?.capabilityAdd,
        c?.capabilityDrop,
        c?.sysctls,
        c?.ulimits,
        c?.groups,
      ],
      expect: [
        ['CAP_NET_ADMIN'],
        ['ALL'],
        { 'a.b': '1' },
        [{ name: 'nofile', soft: 1, hard: 2 }],
        ['wheel'],
      ],
    },
    {
      line: '--network front --network name=back,alias=db,driver-opt=k=v',
      read: (s) => s.task.networks,
      expect: [{ target: 'front' }, { target: 'back', aliases: ['db'], driverOpts: { k: 'v' } }],
    },
    {
      line: '--secret key --secret source=k2,target=f,uid=5,mode=0400 --config conf',
      read: ({ task: { container: c } }) => [c?.secrets, c?.configs],
      expect: [
        [
          {
            secretId: '',
            secretName: 'key',
            file: { name: 'key', uid: '0', gid: '0', mode: 0o444 },
          },
          { secretId: '', secretName: 'k2', file: { name: 'f', uid: '5', gid: '0', mode: 0o400 } },
        ],
        [
          {
            configId: '',
            configName: 'conf',
            file: { name: '/conf', uid: '0', gid: '0', mode: 0o444 },
          },
        ],
      ],
    },
    {
      line: '--log-driver json-file --log-opt max-size=1m --generic-resource gpu=2 --endpoint-mode dnsrr',
      read: (s) => [s.task.logDriver, s.task.resources?.reservations, s.endpoint],
      expect: [
        { name: 'json-file', options: { 'max-size': '1m' } },
        { genericResources: [{ discrete: { kind: 'gpu', value: 2 } }] },
        { mode: 'dnsrr' },
      ],
    },
  ];
  for (const { line, read, expect } of created) {
    it(`creates with ${line}`, () => assert.deepEqual(read(create(line)), expect));
  }

  const updated: {
    from: string;
    line: string;
    read: (s: SpecDraft) => unknown;
    expect: unknown;
  }[] = [
    {
      from: '-e A=1 -e B=2 -e C=3',
      line: '--env-rm A --env-add B=9 --env-add D=4',
      read: (s) => s.task.container?.env,
      expect: ['B=9', 'C=3', 'D=4'],
    },
    {
      from: '-l a=1 -l b=2',
      line: '--label-rm a --label-add b=3',
      read: (s) => s.labels,
      expect: { b: '3' },
    },
    {
      from: '--mount type=tmpfs,target=/a --mount type=tmpfs,target=/b',
      line: '--mount-rm /a --mount-add type=tmpfs,target=/b,readonly',
      read: (s) => s.task.container?.mounts,
      expect: [{ type: 'tmpfs', target: '/b', readOnly: true }],
    },
    {
      from: '-p 80:80 -p 81:80 -p 80:80/udp',
      line: '--publish-rm 80 --publish-add 90:9',
      read: (s) => s.endpoint?.ports?.map((port) => `${port.publishedPort}/${port.protocol}`),
      expect: ['80/udp', '90/tcp'],
    },
    {
      from: '--constraint a==1 --constraint b==2',
      line: '--constraint-rm a==1 --constraint-add c==3',
      read: (s) => s.task.placement?.constraints,
      expect: ['b==2', 'c==3'],
    },
    {
      from: '--placement-pref spread=a --placement-pref spread=b',
      line: '--placement-pref-rm spread=a --placement-pref-add spread=c',
      read: (s) => s.task.placement?.preferences?.map(({ spread }) => spread?.descriptor),
      expect: ['b', 'c'],
    },
    {
      from: '--cap-add NET_ADMIN',
      line: '--cap-drop NET_ADMIN --cap-add SYS_TIME',
      read: ({ task: { container: c } }) => [c?.capabilityAdd, c?.capabilityDrop],
      expect: [['CAP_SYS_TIME'], []],
    },
    {
      from: '--host a:1.1.1.1 --host a:2.2.2.2',
      line: '--host-rm a:1.1.1.1',
      read: (s) => s.task.container?.hosts,
      expect: ['2.2.2.2 a'],
    },
    {
      from: '--health-cmd x --health-retries 2',
      line: '--health-interval 3s',
      read: (s) => s.task.container?.healthCheck,
      expect: { test: ['CMD-SHELL', 'x'], retries: 2, intervalMs: 3000 },
    },
    {
      from: '--restart-condition on-failure',
      line: '--restart-delay 1s --replicas 4 --force --args "a b" --image new:2',
      read: ({ mode, task: { restartPolicy, forceUpdate, container } }) => [
        mode.replicated?.replicas,
        restartPolicy,
        forceUpdate,
        container?.args,
        container?.image,
      ],
      expect: [
        4,
        { condition: 'on-failure', delayMs: 1000, maxAttempts: 0 },
        1,
        ['a', 'b'],
        'new:2',
      ],
    },
    {
      from: '--secret a --secret b',
      line: '--secret-rm a --secret-add c',
      read: (s) => s.task.container?.secrets?.map((secret) => secret.secretName),
      expect: ['b', 'c'],
    },
  ];
  for (const { from, line, read, expect } of updated) {
    it(`updates ${from} with ${line}`, () => {
      assert.deepEqual(read(update(create(from), line)), expect);
    });
  }

  it('changes nothing where no flag is given', () => {
    const lines = created.map(({ line }) => line);
    fc.assert(
      fc.property(fc.constantFrom(...lines), (line) => {
        const before = create(line);
        assert.deepEqual(update(before, ''), before);
      }),
    );
  });

  it('makes a cron service of a job with labels', () => {
    const spec = create('--schedule @hourly --time-zone Europe/Berlin --overlap replace');
    assert.deepEqual(spec.mode.replicatedJob, { totalCompletions: 1, maxConcurrent: 1 });
    const changed = update(spec, '--schedule @daily --run-history 3 --missed-run skip');
    assert.deepEqual(changed.labels, {
      'ts-swarm.cron.schedule': '@daily',
      'ts-swarm.cron.time-zone': 'Europe/Berlin',
      'ts-swarm.cron.overlap': 'replace',
      'ts-swarm.cron.history': '3',
      'ts-swarm.cron.missed-run': 'skip',
    });
    assert.deepEqual(create('--mode global-job --schedule @hourly').mode, { globalJob: {} });
  });

  it('autoscales by a label, which can be changed and taken away', () => {
    const label = 'min=2,max=5,cpu=60%';
    const spec = create(`--replicas 3 --autoscale ${label}`);
    assert.deepEqual(spec.labels, { 'ts-swarm.autoscale': label });
    assert.deepEqual(spec.mode, { replicated: { replicas: 3 } });
    const other = update(spec, '--label-add a=b --autoscale max=9,connections=5');
    assert.deepEqual(other.labels, { a: 'b', 'ts-swarm.autoscale': 'max=9,connections=5' });
    assert.throws(
      () => update(spec, '--replicas 4'),
      /is autoscaled from 2 to 5: change the bounds/,
    );
    const fixed = update(spec, '--autoscale none --replicas 4');
    assert.deepEqual([fixed.labels, fixed.mode], [{}, { replicated: { replicas: 4 } }]);
  });

  const refused: { line: string; verb?: SpecVerb; expect: RegExp }[] = [
    { line: '--mode global --replicas 2', expect: /^replicas can only be used with replicated/ },
    { line: '--mode cron', expect: /^a cron service needs a --schedule/ },
    { line: '--schedule @hourly --overlap often', expect: /--overlap/ },
    { line: '--max-concurrent 2', expect: /^max-concurrent can only be used with replicated-job/ },
    { line: '--no-healthcheck --health-cmd x', expect: /^--no-healthcheck conflicts/ },
    { line: '--mount type=bind,target=/x', expect: /"--mount" flag: source is required/ },
    { line: '--mount type=bind,source=/x', expect: /target is required/ },
    { line: '--mount type=x,target=/x', expect: /invalid value for type: x/ },
    { line: '--mount target=/x,nope=1', expect: /unexpected key 'nope' in 'nope=1'/ },
    { line: '--mount target=/x,constructor=1', expect: /unexpected key 'constructor'/ },
    {
      line: '--mount type=bind,src=/a,dst=/b,tmpfs-size=1',
      expect: /cannot mix 'tmpfs-\*' options/,
    },
    { line: '-p 127.0.0.1:80:80', expect: /"-p, --publish" flag: hostip is not supported/ },
    { line: '-p 1-2:1-3', expect: /invalid ranges/ },
    { line: '-p 70000', expect: /invalid containerPort: 70000/ },
    { line: '-p published=80', expect: /missing mandatory field "target"/ },
    { line: '--ulimit nofile=3:2', expect: /soft limit must be less than or equal to hard limit/ },
    { line: '--placement-pref binpack=x', expect: /only spread=<label> is supported/ },
    { line: '--dns dns.example', expect: /IP address is not correctly formatted: dns.example/ },
    { line: '--label =x', expect: /invalid label '=x': empty name/ },
    { line: '--host nope', expect: /bad format for add-host/ },
    { line: '--env-file /nope/file', expect: /^open \/nope\/file: no such file or directory$/ },
    { line: '--name x', verb: 'update', expect: /^unknown flag: --name/ },
    { line: '--env A=1', verb: 'update', expect: /^unknown flag: --env/ },
  ];
  for (const { line, verb = 'create', expect } of refused) {
    it(`refuses to ${verb} with ${line}`, () => {
      assert.throws(() => apply({}, line, verb), { name: 'SwarmError', message: expect });
    });
  }

  it('reads env files before the flags', () => {
    const folder = mkdtempSync(join(tmpdir(), 'cli-env-'));
    try {
      const path = join(folder, 'env');
      writeFileSync(path, '# comment\nA=1\n\n  B=two words\nFROM_CALLER\nABSENT\n');
      assert.deepEqual(create(`--env-file ${path} -e A=2`).task.container?.env, [
        'A=2',
        'B=two words',
        'FROM_CALLER=yes',
      ]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
