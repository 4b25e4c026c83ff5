#!/bin/sh
# Runs a command on a test host: host-enter.sh CGROUP_PATH PID_OF_ITS_FIRST_PROCESS COMMAND...
# CGROUP_PATH may be - for a short command, which needs no place in the host's cgroup.
set -eu
cgroup_path=$1
pid=$2
shift 2
if [ "$cgroup_path" != - ]; then
  while read -r _ _ _ _ mount_point _ rest; do
    case " $rest" in *" - cgroup "* | *" - cgroup2 "*) ;; *) continue ;; esac
    for folder in "$mount_point$cgroup_path/init" "$mount_point$cgroup_path"; do
      [ -d "$folder" ] || continue
      echo $$ >"$folder/cgroup.procs"
      break
    done
  done </proc/self/mountinfo
fi
exec nsenter --target "$pid" --all -- "$@"
