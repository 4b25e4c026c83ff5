/** What the flags of the verbs of containers do: each script prints the same with both daemons. */
import { bridgeLinks } from './link-scripts.ts';
import { awaited, type ContainerScript } from './container-scripts.ts';

const changes = 'update changes limits and the restart policy';
const looks = 'flags of what shows containers';
const streams = 'flags of what is at the streams of containers';
const ends = 'flags of what ends containers';
const blocks = 'limits of block devices, and warnings of those that the kernel lacks';

export const containerFlagScripts: readonly ContainerScript[] = [
  {
    name: changes,
    script: `docker run -d --name aa busybox sleep 1000 >/dev/null
      docker update -m 64m --memory-swap 128m --memory-reservation 32m --pids-limit 50 -c 100 aa
      docker update --cpuset-cpus 0 --cpuset-mems 0 --restart on-failure:3 aa
      docker update --cpu-period 50000 --cpu-quota 25000 aa
      docker inspect -f '{{with .HostConfig}}{{.Memory}} {{.MemorySwap}} {{.MemoryReservation}}
        {{.PidsLimit}} {{.CpuShares}} {{.CpusetCpus}} {{.CpusetMems}} {{.CpuPeriod}} {{.CpuQuota}}
        {{.RestartPolicy.Name}} {{.RestartPolicy.MaximumRetryCount}}{{end}}' aa
      docker exec aa sh -c 'cat /sys/fs/cgroup/memory/memory.limit_in_bytes \\
        /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/cpu/cpu.cfs_quota_us'
      docker update --cpus 1 aa; docker run -d --name bb busybox sleep 1000 >/dev/null
      docker update --cpus 0.5 bb; docker inspect -f '{{.HostConfig.NanoCpus}}' bb
      docker exec bb cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us`,
  },
  {
    name: looks,
    script: `docker create --name zz busybox true >/dev/null
      docker run -d --name aa --label a=b busybox sh -c 'echo one; sleep 1000' >/dev/null
      ${awaited('docker logs aa | grep one')}
      docker ps -l --no-trunc --format '{{.Names}} {{.Command}}'; docker ps -s | cut -c1-12
      docker inspect -s -f '{{.Name}} {{ge .SizeRootFs .SizeRw}}' aa
      docker logs --details --since 1h aa; docker logs --until 1h aa; docker top aa | wc -l
      docker stats --no-stream --no-trunc -a --format '{{.Name}}' | sort
      d=$(mktemp -d); docker export -o $d/all aa; tar tf $d/all | grep -c '^bin/sh$'; rm -r $d`,
  },
  {
    name: streams,
    script: `d=$(mktemp -d); echo E=1 > $d/env; docker create -i --name cc busybox cat >/dev/null
      echo hi | docker start -ai --detach-keys ctrl-x cc
      docker run -d --name aa busybox sh -c 'until test -e /go; do echo .; sleep 0.1; done
        echo end; exit 4' >/dev/null
      docker attach --no-stdin --sig-proxy=false --detach-keys ctrl-x aa >$d/shown 2>&1 &
      ${awaited('test -s $d/shown')}; docker exec aa touch /go; wait $!; echo $?
      grep -v '^[.]$' $d/shown
      docker run -d --name bb busybox sh -c 'echo x > /f; ln -s f /l; sleep 1000' >/dev/null
      ${awaited('docker exec bb test -L /l')}
      docker exec --env-file $d/env bb sh -c 'echo $E'
      docker exec -t --detach-keys ctrl-x bb tty; docker cp -L bb:/l $d/n; cat $d/n
      test -L $d/n; echo $?
      docker cp -a bb:/f $d/o; stat -c %u $d/o; rm -r $d`,
  },
  {
    name: blocks,
    script: `d=/dev/$(lsblk -dnro NAME | grep -v -e zram -e ram -e loop | head -1)
      docker create --name aa --blkio-weight 300 --blkio-weight-device $d:200 \\
        --device-read-bps $d:1mb --device-write-bps $d:2mb --device-read-iops $d:9 \\
        --device-write-iops $d:8 busybox sh -c 'cat /sys/fs/cgroup/blkio/*throttle*_device'
      docker start -a aa; docker inspect aa | grep -A30 Blkio | grep -B30 CpuPeriod
      docker run --rm --blkio-weight 300 --blkio-weight-device $d:200 \\
        --device-read-bps $d:1mb --device-write-bps $d:2mb --device-read-iops $d:9 \\
        --device-write-iops $d:8 busybox sh -c 'cat /sys/fs/cgroup/blkio/*throttle*_device'
      docker run --name bb --device-read-bps /dev/nowhere:1mb busybox true; echo $?
      docker inspect -f '{{.State.Status}} {{.State.ExitCode}} {{.State.Error}}' bb
      docker run -d --name cc busybox sleep 1000; docker update --blkio-weight 300 cc
      docker inspect -f '{{.HostConfig.BlkioWeight}}' cc`,
  },
  {
    name: ends,
    script: `docker run -d --name aa --label x=y busybox sh -c 'trap "exit 3" USR1
        touch /ready; while :; do sleep 0.1; done' >/dev/null
      ${awaited('docker exec aa test -e /ready')}
      docker kill -s USR1 aa; docker wait aa; docker run --name bb busybox true
      docker container prune -f --filter label=x=y | grep -v reclaimed; docker ps -a --format '{{.Names}}'
      docker rm -v bb`,
  },
];

const running = 'start, stop, kill, pause, rename and rm lead from state to state';
const lists = 'ps lists, filters and formats';
const logs = 'logs keeps and follows what was written';
const execs = 'exec runs commands in a running container';
const files = 'cp, diff and export bring files in and out';

/** A test's title, the verb, and its flags; none stands for the verb itself. */
export const shownByScripts: readonly (readonly [string, string, readonly string[]])[] = [
  [lists, 'ls', []],
  [lists, 'ls', ['--all', '--filter', '--format', '--last', '--quiet']],
  [looks, 'ls', ['--latest', '--no-trunc', '--size']],
  [looks, 'inspect', []],
  [looks, 'inspect', ['--format', '--size']],
  ...['start', 'stop', 'kill', 'restart', 'pause', 'unpause', 'rename', 'wait', 'rm'].map(
    (verb) => [running, verb, []] as const,
  ),
  [streams, 'start', ['--attach', '--interactive', '--detach-keys']],
  // Of the same flag, which the newer CLI calls by another name.
  [running, 'stop', ['--time', '--timeout']],
  [running, 'restart', ['--time', '--timeout']],
  ['test/cluster/container-run.test.ts', 'exec', ['--privileged']],
  ['test/cluster/container-run.test.ts', 'stop', ['--signal']],
  ['test/cluster/container-run.test.ts', 'restart', ['--signal']],
  [ends, 'kill', ['--signal']],
  ['networks come to containers that run, and leave them', 'rm', ['--force']],
  [ends, 'rm', ['--volumes']],
  [bridgeLinks, 'rm', ['--link']],
  [ends, 'prune', []],
  [ends, 'prune', ['--filter', '--force']],
  [looks, 'top', []],
  [logs, 'logs', []],
  [logs, 'logs', ['--follow', '--tail', '--timestamps']],
  [looks, 'logs', ['--details', '--since', '--until']],
  ['attach joins what runs', 'attach', []],
  [streams, 'attach', ['--detach-keys', '--no-stdin', '--sig-proxy']],
  [execs, 'exec', []],
  [execs, 'exec', ['--detach', '--env', '--interactive', '--user', '--workdir']],
  [streams, 'exec', ['--detach-keys', '--env-file', '--tty']],
  [files, 'cp', []],
  [streams, 'cp', ['--archive', '--follow-link', '--quiet']],
  [files, 'diff', []],
  [files, 'export', []],
  [looks, 'export', ['--output']],
  ['ports are published where asked', 'port', []],
  [looks, 'stats', []],
  [looks, 'stats', ['--all', '--format', '--no-stream', '--no-trunc']],
  [changes, 'update', []],
  [
    changes,
    'update',
    (
      '--memory --memory-swap --memory-reservation --pids-limit --restart --cpus --cpu-shares ' +
      '--cpuset-cpus --cpuset-mems --cpu-period --cpu-quota'
    ).split(' '),
  ],
  [blocks, 'update', ['--blkio-weight']],
];

const realtime =
  'CPU real-time scheduling is not supported: no time of this host is set aside for it; leave ' +
  '--cpu-rt-period and --cpu-rt-runtime out';

export const refusedFlags: readonly (readonly [verb: string, flag: string, sentence: string])[] = [
  ...['--checkpoint', '--checkpoint-dir'].map(
    (flag) => ['start', flag, 'checkpoints are not supported by this version'] as const,
  ),
  ...['--cpu-rt-period', '--cpu-rt-runtime'].map((flag) => ['update', flag, realtime] as const),
  [
    'update',
    '--kernel-memory',
    'Linux has no limit of kernel memory any more: use a limit of memory',
  ],
];
