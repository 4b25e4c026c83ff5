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
    const all = tasks.map(seen).toSorted((a, b) => (a.own.join() < b.own.join() ? -1 : 1));
    assert.deepEqual(all, wanted);

    await swarm.cli('service', 'update', '--detach', '--replicas', '3', 'gpus');
    await swarm.untilTasks('there is no third', 'gpus', (now) =>
      now.some(({ err }) => err.includes('insufficient resources on 2 nodes')),
    );
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
});
