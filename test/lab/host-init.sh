#!/bin/sh
# The first process of a test host: host-init.sh CGROUP_PATH HOSTNAME LAB_RUN_FOLDER
#
# A test host is a set of namespaces (network, mounts, processes, hostname, IPC, cgroups) and a
# cgroup. This joins the cgroup, makes the namespaces and waits in them as process 1; when it dies,
# the kernel ends every process of the host and drops its mounts and its network.
set -eu

if [ "${1:-}" != inside ]; then
  cgroup_path=$1
  # Of cgroup v1 every hierarchy, of v2 the one.
  while read -r _ _ _ _ mount_point _ rest; do
    case " $rest" in *" - cgroup "* | *" - cgroup2 "*) ;; *) continue ;; esac
    [ -d "$mount_point$cgroup_path" ] || continue
    echo $$ >"$mount_point$cgroup_path/cgroup.procs"
  done </proc/self/mountinfo
  exec unshare --net --mount --propagation private --uts --ipc --cgroup --pid --fork \
    --kill-child --mount-proc sh "$0" inside "$@"
fi
shift
hostname=$2
lab_run=$3
hostname "$hostname"

# Mounts copied from the machine would keep other hosts' namespaces and containers alive.
unmount_copies() {
  while read -r _ _ _ _ mount_point _ rest; do
    case "$mount_point:$rest" in
      /:*) ;;
      *" - nsfs "* | *" - overlay "*) umount -l "$mount_point" ;;
    esac
  done
}
copies=$lab_run/$hostname.mounts
cat /proc/self/mountinfo >"$copies"
unmount_copies <"$copies"

# The host sees its own cgroup as the root. Hybrid mode is left out on purpose (crun refuses it):
# where there are v1 controllers, the host is a v1 host.
hierarchies=$(sed -n 's/.* - cgroup [^ ]* //p' "$copies" | sort -u)
rm -f "$copies"
umount -R /sys/fs/cgroup
if [ -n "$hierarchies" ]; then
  mount -t tmpfs -o mode=755 cgroup /sys/fs/cgroup
  for options in $hierarchies; do
    names=${options#rw,}
    names=${names#name=}
    mkdir -p "/sys/fs/cgroup/$names"
    mount -t cgroup -o "${options#rw,}" cgroup "/sys/fs/cgroup/$names"
  done
else
  mount -t cgroup2 cgroup2 /sys/fs/cgroup
  # Version 2 wants processes in leaves only.
  mkdir -p /sys/fs/cgroup/init
  echo 1 >/sys/fs/cgroup/init/cgroup.procs
  for controller in $(cat /sys/fs/cgroup/cgroup.controllers); do
    echo "+$controller" >/sys/fs/cgroup/cgroup.subtree_control
  done
fi

# The host has a /run of its own, empty as after a boot; only the lab's folder shows through.
stage=$lab_run/$hostname.stage
mkdir -p "$stage"
mount -t tmpfs -o mode=755 tmpfs "$stage"
mkdir -p "$stage${lab_run#/run}"
mount --bind "$lab_run" "$stage${lab_run#/run}"
mount --no-mtab --move "$stage" /run
rmdir "$stage"
mkdir -p /run/lock /run/netns

ip link set lo up
sysctl -q -w net.ipv4.ip_forward=1
: >"$lab_run/$hostname.ready"
exec tini -- sleep infinity
