/**
 * What the flags of `run` and `create` do: each group of them is given to both verbs, and what the
 * container sees of it is the same with both daemons.
 */
import type { ContainerScript } from './container-scripts.ts';

interface Group {
  readonly name: string;
  /** Shell, run before. */
  readonly before?: string;
  readonly flags: string;
  /** Of `run` alone. */
  readonly runFlags?: string;
  /** The image's command. */
  readonly command: string;
  /** Shell, run while container `aa` is there. */
  readonly after?: string;
}

const groups: readonly Group[] = [
  {
    name: 'names, words and ends of a container',
    before: `d=$(mktemp -d); echo F=1 >$d/env; echo from=file >$d/labels`,
    flags: `--name aa -a stdout -a stderr -i -h hh --domainname d.org --add-host a:1.2.3.4 \\
      --dns 10.9.9.9 --dns-option ndots:2 --dns-search ex.org -e A=b --env-file $d/env \\
      --entrypoint sh -u 0:0 -w /tmp --group-add 7 --init -l x=y --label-file $d/labels \\
      --stop-signal INT --stop-timeout 3 --log-driver json-file --log-opt max-size=1m \\
      --cidfile $d/cid --pull missing --disable-content-trust --platform linux/amd64 \\
      --isolation default --restart on-failure:1 --no-healthcheck`,
    runFlags: '--detach-keys ctrl-x --sig-proxy=false',
    command: `-c 'hostname; cat /proc/sys/kernel/domainname; grep 1.2.3.4 /etc/hosts; echo $A $F; pwd
      grep -o -e ndots:2 -e ex.org /etc/resolv.conf | sort; id -G | grep -ow 7
      [ $$ = 1 ] || echo not the first'`,
    after: `docker inspect -f '{{json .Config.Labels}} {{.Config.StopSignal}} {{.Config.StopTimeout}}
      {{json .HostConfig.LogConfig}} {{.HostConfig.Isolation}} {{json .HostConfig.RestartPolicy}}
      {{json .Config.Healthcheck}} {{.HostConfig.Dns}}' aa; wc -c <$d/cid; rm -r $d`,
  },
  {
    name: 'limits and devices of a container',
    // Both daemons are at it at once, on one machine.
    before: `p=/parent-$(echo "$DOCKER" | cksum | cut -d' ' -f1)`,
    flags: `--name aa -m 64m --memory-swap 128m --memory-reservation 32m --memory-swappiness 10 \\
      --oom-kill-disable --oom-score-adj 100 --pids-limit 50 -c 512 --cpu-period 50000 \\
      --cpu-quota 25000 --cpuset-cpus 0 --cpuset-mems 0 --shm-size 2m --ulimit nofile=99 \\
      --device /dev/null:/dev/mine --device-cgroup-rule 'c 1:77 r' --cgroup-parent $p \\
      --cgroupns host --health-cmd true --health-interval 9s --health-retries 4 \\
      --health-start-period 3s --health-timeout 5s`,
    command: `sh -c 'cd /sys/fs/cgroup; ulimit -n; cat /proc/self/oom_score_adj; df /dev/shm | tail -1
      cd memory; cat memory.limit_in_bytes memory.memsw.limit_in_bytes memory.soft_limit_in_bytes
      cat memory.swappiness; head -1 memory.oom_control; cat ../pids/pids.max ../cpu/cpu.shares
      cat ../cpu/cpu.cfs_quota_us ../cpu/cpu.cfs_period_us ../cpuset/cpuset.cpus
      cat ../cpuset/cpuset.mems; grep 1:77 ../devices/devices.list; test -c /dev/mine && echo there
      grep -q /parent- /proc/self/cgroup && echo below'`,
    after: `docker inspect -f '{{json .Config.Healthcheck}}' aa
      docker rm -f aa >/dev/null; rmdir /sys/fs/cgroup/*$p 2>/dev/null`,
  },
  {
    name: 'privileges, places and networks of a container',
    before: `docker network create --subnet 10.126.7.0/24 --ipv6 --subnet fd00:126::/64 yard >/dev/null
      docker run --name zz -v ww:/from busybox touch /from/there`,
    flags: `--name aa -t --cpus 0.5 --cap-add NET_ADMIN --cap-drop CHOWN --read-only \\
      --security-opt no-new-privileges --security-opt seccomp=unconfined --tmpfs /t:size=1m \\
      --sysctl net.core.somaxconn=77 --mount type=tmpfs,dst=/mt -v vv:/v --volumes-from zz \\
      --volume-driver local --network yard --network-alias www --ip 10.126.7.9 \\
      --ip6 fd00:126::9 --expose 99 -P -p 127.0.0.1::80 --runtime runc`,
    command: `sh -c 'tty; cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us /proc/sys/net/core/somaxconn
      grep -e CapBnd -e NoNewPrivs -e Seccomp: /proc/self/status; touch /x; touch /t/x /mt/x /v/x
      ls /from; df /t | tail -1; ip -o addr show eth0 | grep -o -e 10.126.7.9 -e fd00:126::9
      ping -c1 -W20 www | grep -c ttl='`,
    after: `docker inspect -f '{{.HostConfig.PublishAllPorts}} {{json .Config.ExposedPorts}}
      {{.HostConfig.VolumeDriver}} {{.HostConfig.Runtime}} {{json .HostConfig.Tmpfs}}' aa
      docker rm -f aa zz >/dev/null; docker volume rm vv ww; docker network rm yard`,
  },
  {
    name: 'a container that shares what the host has, and goes when it ends',
    flags: `--name aa --rm --cap-add SYS_PTRACE --network host --pid host --uts host --ipc host \\
      --userns host --cgroupns host`,
    command: `sh -c 'test $$ -gt 1 && echo pid; for n in uts ipc net cgroup; do
        [ $(readlink /proc/self/ns/$n) = $(readlink /proc/$PPID/ns/$n) ] && echo $n; done
      grep -e CapEff /proc/self/status'`,
    // Not every machine that tests run on may give all privileges away.
    after: `docker ps -aq; docker create --name cc --privileged busybox true
      docker run -d --name dd --privileged busybox true >/dev/null 2>&1
      docker inspect -f '{{.HostConfig.Privileged}}' cc dd`,
  },
];

// Which program starts containers is the node's matter; ours says so where another is asked for.
const said = `2>&1 | grep -v 'starts its containers with'`;

export const runFlagScripts: readonly ContainerScript[] = groups.flatMap(
  ({ name, before = '', flags, runFlags = '', command, after = '' }) => {
    const run = `${before}\n docker run ${runFlags} ${flags} busybox ${command} ${said}`;
    const create = `${before}\n docker create ${flags} busybox ${command} ${said}
      docker start -a aa`;
    return [
      { name: `run: ${name}`, script: `${run}\n${after}` },
      { name: `create: ${name}`, script: `${create}\n${after}` },
    ];
  },
);
