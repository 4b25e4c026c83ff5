/** What is the daemons' alone to do, whatever CLI asks for it. */
import type { ContainerScript } from './container-scripts.ts';

export const daemonScripts: readonly ContainerScript[] = [
  {
    name: 'run marks a container as one, which is no change of its image',
    script: `docker run --name aa busybox ls -l /.dockerenv | cut -c1-10; docker diff aa
      docker export aa | tar tf - .dockerenv; docker cp aa:/.dockerenv - | tar tf -`,
  },
  {
    name: 'run hands on mounts only from where there are some to hand on',
    script: `docker run -v /etc:/m:rslave busybox true; echo $?
      docker run --mount type=bind,src=/etc,dst=/m,bind-propagation=shared busybox true`,
  },
  {
    name: 'what happens is told, and found in the past',
    script: `docker container prune -f >/dev/null; docker image prune -f >/dev/null
      docker builder prune -af >/dev/null; docker network prune -f >/dev/null
      from=$(date +%s.%N); docker network create told >/dev/null
      docker run -d --name aa --network told --label q=r busybox sleep 1000 >/dev/null
      docker exec aa echo told; docker commit aa told >/dev/null
      docker stop -t 0 aa; docker container prune -f >/dev/null; docker network prune -f >/dev/null
      docker rmi told >/dev/null; docker image prune -f >/dev/null
      docker builder prune -f >/dev/null
      docker events --since $from --until $(date +%s.%N) \\
        --format '{{.Type}} {{.Action}}{{range $k, $v := .Actor.Attributes}} {{$k}}={{$v}}{{end}}' \\
        | sed -E 's/(ID=|container=|sha256:)[0-9a-f]+/\\1ID/g' \\
        | sed -E 's/(reclaimed)=[0-9]+/\\1/; s/execDuration=[0-9]+ //' | sort`,
  },
];
