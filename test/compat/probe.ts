/** An image whose containers tell what was made of their options. */
import type { ImageSpec } from '../lab/image.ts';

const script = `#!/bin/sh
trap 'echo "signal: TERM"; exit 0' TERM
trap 'echo "signal: USR1"; exit 0' USR1
echo "args: $*"
echo "pid1: $(tr '\\0' ' ' </proc/1/cmdline)"
echo "pid: $$"
echo "user: $(id -u):$(id -g)"
echo "groups: $(id -G)"
echo "workdir: $(pwd)"
echo "hostname: $(hostname)"
env | sed 's/^/env: /'
sed 's/^/hosts: /' /etc/hosts
sed 's/^/resolv: /' /etc/resolv.conf
sed 's/^/mount: /' /proc/self/mounts
sed 's/^/limit: /' /proc/self/limits
sed 's/^/status: /' /proc/self/status
echo "sysctl: $(cat /proc/sys/net/ipv4/ip_unprivileged_port_start)"
echo "oom: $(cat /proc/self/oom_score_adj)"
if test -t 1; then echo "tty: yes"; else echo "tty: no"; fi
if touch /written 2>/dev/null; then echo "root: writable"; else echo "root: read-only"; fi
echo ready
while :; do
  sleep 1000000 &
  wait $!
done
`;

export const probeImage: ImageSpec = {
  files: { '/bin/probe': script, '/bin/other': '#!/bin/sh\nexec /bin/probe other "$@"\n' },
  entrypoint: ['/bin/probe'],
};

/** What `key: value` lines say, in order. */
export function told(output: string, key: string): string[] {
  const start = `${key}: `;
  return output
    .split(/\r?\n/)
    .filter((line) => line.startsWith(start))
    .map((line) => line.slice(start.length).trim());
}
