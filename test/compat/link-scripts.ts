/** Links between containers, and addresses that containers choose for themselves. */
import type { ContainerScript } from './container-scripts.ts';

export const bridgeLinks = 'links on the bridge are lines of hosts, and variables';
export const ownLinks = 'links on other networks are names for one container alone';
export const linkLocals = 'link-local addresses come to interfaces beside the others';

export const linkScripts: readonly ContainerScript[] = [
  {
    name: bridgeLinks,
    script: `docker run -d --name aa --hostname dbhost -e FOO=bar --expose 80 --expose 81 \\
        --expose 82 --expose 53/udp busybox sleep 1000 >/dev/null
      docker create --name bb --link aa:my-db -e MY_DB_NAME=own busybox sleep 1000 >/dev/null
      docker start bb; docker inspect -f '{{json .HostConfig.Links}}' bb
      docker ps --no-trunc --format '{{.Names}}'; docker inspect -f '{{.Name}}' bb/my-db
      docker exec bb cat /etc/hosts; docker exec bb env | sort
      docker stop -t 0 aa; docker run -d --name cc busybox sleep 1000 >/dev/null; docker start aa
      address=$(docker inspect -f '{{.NetworkSettings.IPAddress}}' aa)
      docker exec bb grep -c "^$address" /etc/hosts; docker exec bb env | grep -c "=$address"
      docker rename aa zz; docker inspect -f '{{json .HostConfig.Links}}' bb
      docker rm --link bb/my-db; docker exec bb grep -c my-db /etc/hosts
      docker rm --link zz; docker rm --link bb/nosuch; docker stop -t 0 bb zz; docker start bb
      docker run --rm --link nosuch:x busybox true
      docker network create own >/dev/null
      docker run -d --name dd --network own busybox sleep 1000 >/dev/null
      docker create --name ee --link dd:x busybox true >/dev/null; docker start ee
      docker run -d --name ff --network host busybox sleep 1000 >/dev/null
      docker run --rm --link ff:x busybox true
      docker rm -f dd; docker network rm own`,
  },
  {
    name: ownLinks,
    script: `docker network create own >/dev/null; docker network create two >/dev/null
      docker run -d --name aa --network own busybox sleep 1000 >/dev/null
      docker run -d --name bb --network own --link aa:data --link later:l busybox \\
        sleep 1000 >/dev/null
      reaches() { docker exec $1 ping -c1 -W20 $2 2>&1 | grep -e bad -e 'bytes from' | cut -c1-14; }
      reaches bb data; reaches bb data.own; reaches aa data
      docker run -d --name later --network own busybox sleep 1000 >/dev/null; reaches bb l
      docker network connect --link aa:far two bb; docker network connect two aa; reaches bb far
      docker inspect -f '{{json .HostConfig.Links}} {{.NetworkSettings.Networks.own.Links}}
        {{.NetworkSettings.Networks.two.Links}}' bb
      docker network disconnect own bb; docker restart -t 0 bb; reaches bb far
      docker rm --link bb/far; docker rm -f aa bb later; docker network rm own two`,
  },
  {
    name: linkLocals,
    script: `docker network create own >/dev/null; docker network create two >/dev/null
      docker run -d --name aa --network own --link-local-ip 169.254.7.7 \\
        --link-local-ip 169.254.7.8 busybox sleep 1000 >/dev/null
      docker create --name bb --network own --link-local-ip 169.254.7.9 busybox \\
        sleep 1000 >/dev/null; docker start bb
      docker network connect --link-local-ip 169.254.8.8 two aa
      docker exec aa ip -o -4 addr show | grep -o '169.*eth.'
      docker exec bb ping -c1 -W20 169.254.7.8 | grep -o 'bytes from.*:'
      docker inspect -f '{{.NetworkSettings.Networks.own.IPAMConfig.LinkLocalIPs}}' aa
      docker run --rm --network own --link-local-ip 10.7.7.7 busybox true 2>&1 | grep -o 'invalid.*'
      docker rm -f aa bb; docker network rm own two`,
  },
];
