/** What people type, as shell scripts: each must print the same with our daemon and with Docker's. */
export interface ContainerScript {
  readonly name: string;
  readonly script: string;
  /** From what Docker 20.10 prints to what we do, where newer Dockers print the latter. */
  readonly differs?: (theirs: string) => string;
}

const newWords = (theirs: string) =>
  theirs
    .replaceAll('failed to create shim task: OCI runtime create failed: runc create failed: ', shim)
    .replaceAll(/Container (ID|\w+) is (not running|already paused)/g, 'container $1 is $2')
    .replaceAll('Cannot kill container', 'cannot kill container')
    .replaceAll(
      /You cannot remove a running container ID\. Stop the .*$/gm,
      'cannot remove container "/aa": container is running: stop the container before removing ' +
        'or force remove',
    );
const shim =
  'failed to create task for container: failed to create shim task: OCI runtime create failed: ';

/** Waits until the command succeeds: for what a container does after it has been started. */
export const awaited = (command: string) =>
  `for n in $(seq 600); do ${command} && break; sleep 0.1; done >/dev/null 2>&1`;
/** Waits until a field of a container has this value. */
const comes = (name: string, field: string, value: string) =>
  awaited(`[ "$(docker inspect -f '{{${field}}}' ${name})" = ${value} ]`);

export const containerScripts: readonly ContainerScript[] = [
  {
    name: 'run prints, passes input on, and ends as the command does',
    script: `docker run --rm busybox echo hi; docker run --rm busybox sh -c 'exit 3'; echo $?
      echo typed | docker run -i --rm busybox cat; docker run --rm -e A=b busybox sh -c 'echo $A'
      docker run --rm -w /tmp -u 5:6 busybox sh -c 'pwd; id'; docker run --rm -h hh busybox hostname
      docker run --rm --entrypoint echo busybox a b; docker run -d --rm busybox true`,
  },
  {
    name: 'run tells what cannot be run',
    script: `docker run --rm busybox nosuch; echo $?; docker run --rm busybox /etc; echo $?
      docker run --rm --cpus 999 busybox true 2>&1 | cut -c1-60; docker run --rm -m 1m busybox true
      docker run --rm --network nonet busybox true; docker run --name a busybox true
      docker run --rm busybox /no/such; echo $?; docker run --rm busybox ''; echo $?
      docker run --rm --cap-add nosuch busybox true; docker run --rm -u nobody-knows busybox true
      docker run --rm --device /dev/nosuch busybox true; echo $?
      docker run --rm --cpuset-cpus 0,77 busybox true 2>&1 | cut -c1-70
      docker run --rm -v /etc/passwd:/one/file busybox head -c 4 /one/file`,
    differs: newWords,
  },
  {
    name: 'run gives a terminal',
    script: `script -qec "$DOCKER run --rm -it busybox sh -c 'tty; stty -a | head -1 | cut -c1-5'" /dev/null`,
  },
  {
    name: 'exec runs commands in a running container',
    script: `docker run -d --name aa busybox sleep 1000; docker exec aa echo in
      docker exec aa sh -c 'exit 7'; echo $?; echo foo | docker exec -i aa cat
      docker exec -u 5 -w /tmp -e A=b aa sh -c 'pwd; echo $A'; docker exec -d aa touch /tmp/x
      ${awaited('docker exec aa test -e /tmp/x')}; docker exec aa ls /tmp; docker exec nope ls; docker exec aa nosuch`,
  },
  {
    name: 'ps lists, filters and formats',
    script: `docker run -d --name aa --label tier=x busybox sleep 1000; docker create --name bb busybox
      docker run --name cc busybox false; docker ps --format '{{.Names}} {{.Image}} {{.Command}}'
      docker ps -a --format '{{.Names}} {{.State}}'; docker ps -aq --filter label=tier=x
      docker ps -a --filter exited=1 --format '{{.Names}}'; docker ps -n 1 --format '{{.Names}}'
      docker ps -a --filter status=created --format '{{.Names}} {{.Status}}'
      docker ps -a --filter name=b --format '{{.Names}}'; docker ps --filter status=nonsense
      docker ps -a --filter before=bb --format '{{.Names}}'; docker ps -aq --filter ancestor=nope`,
    differs: (theirs) => theirs.replace('Invalid filter', 'invalid filter'),
  },
  {
    name: 'start, stop, kill, pause, rename and rm lead from state to state',
    script: `docker run -d --name aa busybox sleep 1000; docker pause aa; docker pause aa
      docker exec aa ls; docker unpause aa; docker rm aa; docker stop -t 0 aa; docker start aa
      docker rename aa bb; docker rename bb aa; docker restart -t 0 aa; docker kill aa
      docker wait aa; docker kill aa; docker ps -a --format '{{.Names}} {{.State}}'; docker rm aa
      docker rm aa; docker start nope`,
    differs: newWords,
  },
  {
    name: 'logs keeps and follows what was written',
    script: `docker run --name aa busybox sh -c 'echo 1; sleep 0.1; echo 2; sleep 0.1; echo 3'
      docker logs aa; docker logs --tail 1 aa; docker logs -t --tail 1 aa; docker logs -f aa
      docker run -d --name bb --log-opt max-size=1k busybox sh -c 'echo x; sleep 1; echo y'
      docker logs -f bb; docker run --name cc --log-driver none busybox echo z; docker logs cc
      docker run --name dd --label l=m -e E=f --log-opt labels=l --log-opt env=E \\
        --log-opt tag={{.Name}} busybox echo v; docker logs --details dd; docker logs --tail -1 dd`,
  },
  {
    name: 'containers on a network of their own find each other',
    script: `docker network create own >/dev/null
      docker run -d --name aa --network own --network-alias web busybox sh -c 'mkdir /w
        echo page > /w/index.html; exec httpd -f -h /w' >/dev/null
      ${awaited('docker exec aa wget -qO- http://127.0.0.1/')}
      docker run --rm --network own busybox wget -qO- http://aa/
      docker run --rm --network own busybox wget -qO- http://web/
      docker run --rm busybox wget -T 2 -qO- http://aa/ 2>&1 | head -1
      docker inspect -f '{{range $k, $v := .NetworkSettings.Networks}}{{$k}}{{end}}' aa
      docker rm -f aa; docker network rm own`,
  },
  {
    name: 'networks come to containers that run, and leave them',
    script: `docker network create --subnet 10.123.7.0/24 one >/dev/null
      docker network create --internal two >/dev/null
      docker network create --ipv6 --subnet fd00:7::/64 six >/dev/null
      docker run -d --name aa -p 127.0.0.1:18083:80 busybox sh -c 'mkdir /w
        echo page > /w/index.html; exec httpd -f -h /w' >/dev/null
      docker run -d --name bb --network one busybox sleep 1000 >/dev/null
      ${awaited('docker exec aa wget -qO- http://127.0.0.1/')}
      docker exec bb wget -T 2 -qO- http://aa/ 2>&1 | head -1
      docker network connect --ip 10.123.7.9 --alias www one aa
      for name in aa www 10.123.7.9; do docker exec bb wget -T 20 -qO- http://$name/; done
      docker exec aa sh -c 'ip -o -4 addr show eth1 | cut -d" " -f2-7; ping -c1 -W20 bb | grep -c ttl='
      docker inspect -f '{{range $k, $v := .NetworkSettings.Networks}}{{$k}} {{end}}' aa
      docker inspect -f '{{.NetworkSettings.Networks.one.IPAddress}}' aa
      docker network inspect -f '{{range .Containers}}{{println .Name}}{{end}}' one | sort
      docker network connect one aa; docker network connect --ip 10.9.9.9 two aa
      docker network connect nosuch aa; docker network connect one nosuch
      docker network connect --alias x bridge bb; docker network disconnect two aa
      docker network connect --ip 10.123.7.9 one nosuch; docker network connect host aa
      docker network connect two bb; docker network disconnect one bb
      docker exec bb ls /sys/class/net | tr '\\n' ' '; docker exec bb ping -c1 -W1 8.8.8.8 >/dev/null 2>&1; echo $?
      docker network disconnect one aa; docker network disconnect one aa
      docker exec aa ls /sys/class/net
      docker stop -t 0 aa bb; docker network disconnect bridge aa; docker network connect one aa
      docker start aa; docker exec aa ip -o -4 addr show eth0 | cut -d' ' -f2-6
      docker network connect --ip6 fd00:7::9 six aa
      docker inspect -f '{{.NetworkSettings.Networks.six.GlobalIPv6Address}}' aa
      docker network disconnect -f six aa
      docker network rm one 2>&1 | sed 's/id [^ ]*/id/'; docker rm -f aa bb; docker network rm one two six`,
  },
  // Docker 20.10 tells twice of a container that is disconnected while it runs.
  {
    name: 'networks tell who comes and goes',
    script: `sleep 1; since=$(date +%s); docker network create told >/dev/null
      docker run -d --name aa --network told busybox sleep 1000 >/dev/null
      docker network connect bridge aa; docker network disconnect told aa; docker rm -f aa
      docker network rm told
      told() { docker events --since $since --until $(date +%s) --filter type=network --format \
        '{{.Type}} {{.Action}} {{.Actor.Attributes.name}} {{.Actor.Attributes.type}}' | uniq; }
      ${awaited('told | grep destroy')}; told`,
  },
  {
    name: 'networks are made from configurations',
    script: `docker network create --config-only --subnet 10.124.7.0/24 -o com.docker.network.driver.mtu=1400 conf >/dev/null
      docker network create --config-from conf -d bridge made >/dev/null
      for n in conf made; do docker network inspect -f \
        '{{.Driver}} {{.ConfigOnly}} {{.ConfigFrom.Network}} {{range .IPAM.Config}}{{.Subnet}}{{end}} {{.Options}}' $n; done
      docker run --rm --network made busybox ip -o -4 addr show eth0 | cut -d' ' -f2-7 | cut -c1-30
      docker run --rm --network made busybox cat /sys/class/net/eth0/mtu
      docker network create --config-from conf --subnet 10.1.0.0/24 x
      docker network create --config-from nosuch x
      docker network create --config-only --internal x
      docker network create --config-from made x
      docker network create --config-only --config-from conf x; docker network rm conf
      docker run --rm --network conf busybox true 2>&1 | grep -c docker:
      docker network ls --filter name=conf --format '{{.Name}} {{.Driver}} {{.Scope}}'
      docker network rm made conf`,
  },
  {
    name: 'attach joins what runs',
    script: `docker run -d -i --name aa busybox sh -c 'read x; sleep 1; echo got $x'
      echo line | docker attach aa; docker wait aa; docker logs aa
      docker attach aa`,
  },
  {
    name: 'cp, diff and export bring files in and out',
    script: `d=$(mktemp -d); echo new > $d/n
      docker run -d --name aa busybox sh -c 'mkdir /d; echo 1 > /d/f; ln -s f /d/l; rm /bin/ls; sleep 1000'
      ${awaited('docker exec aa test ! -e /bin/ls')}; docker cp $d/n aa:/d/; docker cp aa:/d $d/out
      ls $d/out; docker cp aa:/d/. - | tar t; docker cp aa:/nope $d; docker cp $d/n aa:/no/x
      docker exec aa cat /d/n; docker stop -t 0 aa; docker cp aa:/d/n - | tar xO
      docker diff aa | sort
      docker export aa | tar t | grep '^d/' | sort; rm -r $d`,
  },
  {
    name: 'cp reaches the volumes of a container that never ran, and those that can be written',
    script: `d=$(mktemp -d); chmod 755 $d; echo new > $d/n; mkdir $d/b; docker volume create filled >/dev/null
      docker create --name aa -v filled:/data/deep -v $d/b:/b busybox >/dev/null
      docker cp $d/n aa:/data/deep; docker cp $d/n aa:/b/; cat $d/b/n
      docker cp aa:/data/deep/n - | tar xO
      docker export aa | tar t | grep 'deep/.'; docker rm aa >/dev/null
      docker run -d --name bb --read-only -v filled:/v -v $d/b:/ro:ro busybox sleep 1000 >/dev/null
      docker exec bb ls /v; docker cp $d/n bb:/v/m; docker exec bb ls /v
      docker cp $d/n bb:/ro; docker cp $d/n bb:/tmp; ls $d/b
      docker rm -f bb >/dev/null; docker volume rm filled; rm -r $d`,
  },
  {
    name: 'a container has the profile, the home and the domain that it is to have',
    script: `d=$(mktemp -d)
      echo '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir","mkdirat"],
        "action":"SCMP_ACT_ERRNO","errnoRet":5}]}' > $d/s.json
      docker run --rm --security-opt seccomp=$d/s.json busybox mkdir /x
      docker run -d --name aa -u 1000 -h hh --domainname d.e busybox sleep 1000 >/dev/null
      for user in '' root 77; do docker exec -u "$user" aa sh -c 'echo $HOME'; done
      docker exec aa hostname -f; docker run --rm -u 1000 -e HOME=/srv busybox sh -c 'echo $HOME'
      docker run --rm -v /tmp:/x:ro,rw busybox true; rm -r $d
      docker run --rm --security-opt no-new-privileges=maybe busybox true`,
  },
  {
    name: 'ports are published where asked',
    script: `docker run -d --name aa -p 127.0.0.1:18081:80 -p 18082:81/udp busybox sleep 1000
      docker port aa | grep -v -e '\\[' -e ':::' | sort; docker port aa 80; docker run -d --name bb -p 127.0.0.1:18081:80 busybox \\
      true 2>&1 | grep -o 'Bind for .*'`,
  },
  {
    name: 'limits and privileges hold',
    script: `docker run --rm --read-only busybox touch /x; docker run --rm --cap-drop ALL busybox chown 1 /tmp
      docker run --rm --ulimit nofile=99 busybox sh -c 'ulimit -n'
      docker run --rm --shm-size 1m busybox sh -c 'df /dev/shm | tail -1'
      docker run --rm --tmpfs /t:size=1m busybox sh -c 'df /t | tail -1'
      docker run --rm --sysctl net.core.somaxconn=77 busybox cat /proc/sys/net/core/somaxconn
      docker run --rm --add-host x:1.2.3.4 busybox grep 1.2.3.4 /etc/hosts
      docker run --rm --device /dev/null:/dev/mine busybox sh -c 'test -c /dev/mine && echo there'
      docker run --name aa -m 10m busybox sh -c 'tail -c 100m /dev/zero | cat > /dev/null'
      docker inspect -f '{{.State.ExitCode}}' aa; docker run --rm --network none busybox ls /sys/class/net`,
  },
  {
    name: 'health is watched, and restart policies hold',
    script: `docker run -d --name aa --health-cmd 'test -e /ok' --health-interval 300ms \\
      --health-retries 2 busybox sleep 1000; ${comes('aa', '.State.Health.Status', 'unhealthy')}
      docker inspect -f '{{.State.Health.Status}}' aa
      docker exec aa touch /ok; ${comes('aa', '.State.Health.Status', 'healthy')}
      docker inspect -f '{{.State.Health.Status}}' aa
      docker run -d --name bb --restart on-failure:2 busybox false; ${comes('bb', '.RestartCount', '2')}
      ${comes('bb', '.State.Status', 'exited')}; sleep 1
      docker inspect -f '{{.RestartCount}} {{.State.Status}}' bb`,
  },
];
