/** Generic resources of real hosts: devices that vendors describe, and each task with its own. */
import { strict as assert } from 'node:assert';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { until } from '../lab/index.ts';
import { imageOf, useSwarm, words, type TaskView } from './swarm.ts';

/** The host's /dev/full and /dev/zero in the parts of two GPUs. */
const spec = {
  cdiVersion: '0.6.0',
  kind: 'example.com/gpu',
  containerEdits: { env: ['GPU_DRIVER=fake'] },
  devices: ['full', 'zero'].map((name) => ({
    name,
    containerEdits: {
      deviceNodes: [{ path: `/dev/gpu-${name}`, hostPath: `/dev/${name}` }],
      env: [`GPU=${name}`],
    },
  })),
};

/** The same devices as NVIDIA's, which `--gpus` means, with a file of the host's. */
const gpus = {
  cdiVersion: '0.6.0',
  kind: 'nvidia.com/gpu',
  containerEdits: { mounts: [{ hostPath: '/run/cdi/own', containerPath: '/opt/gpu' }] },
  devices: ['full', 'zero'].map((path, index) => ({
    name: String(index),
    containerEdits: {
      deviceNodes: [{ path: `/dev/gpu-${index}`, hostPath: `/dev/${path}` }],
      env: [`GPU_${index}=yes`],
    },
  })),
};

describe('devices', () => {
  const get = useSwarm({ hosts: 2, images: ['sleeper:1'] });

  it('are offered by nodes that have them, and each task sees its own', async () => {
    const swarm = get();
    const host = swarm.host('h2');
    await host.exec(`mkdir -p /run/cdi && cat > /run/cdi/gpu.json`, {
      input: JSON.stringify(spec),
    });
    const format = '{{json .GenericResources}}';
    await until('the devices are known', () => host.cli('info', '-f', format), {
      accept: (told) => told.includes('"full"') && told.includes('"zero"'),
    });
    const flags = words('--replicas 2 --generic-resource example.com/gpu=1');
    await swarm.create('gpus', ...flags, imageOf(swarm, 'sleeper:1'));
    const tasks = await swarm.runs('gpus', 2);
    const seen = (task: TaskView) => {
      const proc = `/proc/${swarm.pidOf(task)}`;
      const names = readdirSync(`${proc}/root/dev`).filter((name) => name.startsWith('gpu-'));
      const env = readFileSync(`${proc}/environ`, 'utf8').split('\0');
      const own = env.filter((line) => /GPU/.test(line)).toSorted();
      const numbers = names.map((name) => statSync(`${proc}/root/dev/${name}`).rdev);
      return { host: task.host, names, numbers, own };
    };
    const wanted = ['full', 'zero'].map((name) => ({
      host: 'h2',
      names: [`gpu-${name}`],
      numbers: [statSync(`/dev/${name}`).rdev],
      own: [`DOCKER_RESOURCE_EXAMPLE_COM_GPU=${name}`, `GPU=${name}`, 'GPU_DRIVER=fake'],
    }));
    // A container runs a moment before its program has taken its process over.
    const all = () => tasks.map(seen).toSorted((a, b) => (a.own.join() < b.own.join() ? -1 : 1));
    await until('each sees its own', all, {
      accept: (found) => JSON.stringify(found) === JSON.stringify(wanted),
    });

    await swarm.cli('service', 'update', '--detach', '--replicas', '3', 'gpus');
    await swarm.untilTasks('there is no third', 'gpus', (now) =>
      now.some(({ err }) => err.includes('insufficient resources on 2 nodes')),
    );
  });

  it('are given to containers of people by name, by number, or all of them', async () => {
    const swarm = get();
    const host = swarm.host('h2');
    const image = imageOf(swarm, 'sleeper:1');
    await host.exec('mkdir -p /run/cdi && echo own > /run/cdi/own');
    for (const [name, described] of Object.entries({ gpu: spec, nvidia: gpus })) {
      const input = JSON.stringify(described);
      await host.exec(`cat > /run/cdi/${name}.json`, { input });
    }
    const script = 'ls /dev | grep gpu; env | grep GPU | sort; cat /opt/gpu';
    const seen = async (...flags: readonly string[]) =>
      (await host.cli('run', '--rm', ...flags, image, 'sh', '-c', script)).trim().split('\n');
    const device = ['--device', 'nvidia.com/gpu=1', '--device', 'example.com/gpu=full'];
    const runs: readonly (readonly [flags: readonly string[], seen: readonly string[]])[] = [
      [words('--gpus all'), ['gpu-0', 'gpu-1', 'GPU_0=yes', 'GPU_1=yes', 'own']],
      [words('--gpus 1 -e GPU_0=no'), ['gpu-0', 'GPU_0=yes', 'own']],
      [words('--gpus device=1'), ['gpu-1', 'GPU_1=yes', 'own']],
      [device, ['gpu-1', 'gpu-full', 'GPU=full', 'GPU_1=yes', 'GPU_DRIVER=fake', 'own']],
    ];
    assert.deepEqual(
      await Promise.all(runs.map(([flags]) => seen(...flags))),
      runs.map(([, expect]) => expect),
    );

    await host.cli('create', '--name', 'asks', ...device, image);
    const format = '{{json .HostConfig.DeviceRequests}}';
    const [told] = JSON.parse(await host.docker('inspect', '-f', format, 'asks')) as object[];
    const ids = ['nvidia.com/gpu=1', 'example.com/gpu=full'];
    const rest = { Driver: 'cdi', Count: 0, Capabilities: null, Options: null };
    assert.deepEqual(told, { ...rest, DeviceIDs: ids });
    await host.exec('rm /run/cdi/nvidia.json');
    const gone = await host.dockerResult('start', 'asks');
    assert.match(
      gone.stderr,
      /CDI device injection failed: unresolvable CDI devices nvidia.com\/gpu=1$/m,
    );
    await host.cli('rm', 'asks');

    const without = await host.cliResult('run', '--name', 'none', '--gpus', 'all', image);
    assert.equal(without.code, 125);
    assert.match(
      without.stderr,
      /could not select device driver "" with capabilities: \[\[gpu\]\]/,
    );
    await host.cli('rm', 'none');
  });

  it('limits swap, and says how readily it is used', async () => {
    const swarm = get();
    const image = imageOf(swarm, 'sleeper:1');
    const isUnified = existsSync('/sys/fs/cgroup/cgroup.controllers');
    const limits = words('--replicas 1 --limit-memory 64m --memory-swap 16m');
    const swappy = words('--memory-swappiness 10');
    await swarm.create('swaps', ...limits, ...(isUnified ? [] : swappy), image);
    const [task] = await swarm.runs('swaps', 1);
    assert.ok(task !== undefined);
    const line = isUnified ? /^0::(.*)$/m : /^\d+:memory:(.*)$/m;
    const [, path = ''] =
      line.exec(readFileSync(`/proc/${swarm.pidOf(task)}/cgroup`, 'utf8')) ?? [];
    const root = isUnified ? '/sys/fs/cgroup' : '/sys/fs/cgroup/memory';
    const told = (name: string) => readFileSync(`${root}${path}/${name}`, 'utf8').trim();
    if (isUnified) {
      assert.equal(told('memory.swap.max'), String(16 * 2 ** 20));
    } else {
      assert.equal(told('memory.memsw.limit_in_bytes'), String(80 * 2 ** 20));
      assert.equal(told('memory.swappiness'), '10');
    }
  });

  it('are given by path, and privileges, where the swarm allows it', async () => {
    const swarm = get();
    const { manager } = swarm;
    const image = imageOf(swarm, 'sleeper:1');
    const result = (name: string, ...flags: readonly string[]) =>
      manager.cliResult('service', 'create', '-d', '--name', name, ...flags, image);
    const device = ['--device', '/dev/kmsg:/dev/messages:w'];
    const unasked = await result('log', ...device);
    assert.match(unasked.stderr, /does not allow .* devices; "ts-swarm swarm update --allow-devi/);

    await manager.cli('swarm', 'update', '--allow-devices');
    assert.match((await result('all', '--privileged')).stderr, /swarm update --allow-privileged/);
    assert.equal((await result('log', ...device)).code, 0);
    await swarm.runs('log', 1);
    const inLog = (script: string) => manager.cliResult('exec', 'log.1', 'sh', '-c', script);
    assert.equal((await inLog(': >/dev/messages')).code, 0);
    assert.match((await inLog('cat /dev/messages')).stderr, /not permitted/, 'w alone was given');
    const own = await inLog('mknod /dev/own c 1 11 && : >/dev/own && cat /dev/own');
    assert.match(own.stderr, /not permitted/, 'nor by a node of its own');

    await manager.cli('swarm', 'update', '--allow-privileged');
    const label = words('--restart-delay 50ms --container-label ts-swarm.privileged=true');
    await manager.docker('service', 'create', '-d', '--name', 'all', ...label, image);
    const [task] = await swarm.runs('all', 1);
    assert.ok(task !== undefined);
    const capabilities = (pid: number | 'self') =>
      /^CapEff:\s*(\S+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    await until('it may do what we may', () => capabilities(swarm.pidOf(task)), {
      accept: (found) => found === capabilities('self'),
    });

    // What runs goes on without the setting; nothing new begins, and says why.
    await manager.cli('swarm', 'update', '--allow-privileged=false');
    const scaled = await manager.cliResult('service', 'scale', '-d', 'all=2');
    assert.match(scaled.stderr, /swarm update --allow-privileged/);
    assert.deepEqual(
      (await swarm.runs('all', 1)).map(({ id }) => id),
      [task.id],
    );
    process.kill(swarm.pidOf(task), 'SIGKILL');
    await swarm.untilTasks('its successor waits', 'all', (tasks) =>
      tasks.some(({ state, err }) => state === 'pending' && err.includes('--allow-privileged')),
    );
    await manager.cli('swarm', 'update', '--allow-privileged');
    await swarm.runs('all', 1);
    await manager.cli('service', 'update', '-d', '--privileged=false', 'all');
    await swarm.untilTasks('its container is like others', 'all', (tasks) => {
      const now = tasks.filter(({ state, desired }) => state === desired && state === 'running');
      return now.length === 1 && capabilities(swarm.pidOf(now[0]!)) !== capabilities('self');
    });
  });
});
