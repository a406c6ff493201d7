#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A real Slurm of one machine, for tests and for trying batch scripts: munged, slurmctld and slurmd on ports, with a key
# and in a directory of their own, beside any Slurm this machine may belong to. Needs neither systemd nor root (without
# root, it runs the jobs of the user who started it).
#
#   eval "$(tools/slurm.sh start [DIR])"   start it and set SLURM_CONF: srun, sbatch, salloc and squeue now talk to it
#   tools/slurm.sh status [DIR]            what runs; exits 0 if it takes jobs, 1 if not
#   tools/slurm.sh stop [DIR]              cancel its jobs, end its processes, remove DIR
#
# DIR must be new or empty. Without it, start makes a temporary directory; later calls find it by SLURM_CONF. Starting
# what runs already and stopping what does not run are no errors. A job may have more tasks than this machine has cores:
# start also sets SLURM_OVERCOMMIT, SBATCH_OVERCOMMIT and SALLOC_OVERCOMMIT.
set -uo pipefail

# Everything this script makes lies in a directory that holds this file: one line per process, `name pid start-time`.
readonly marker=tributary-slurm.processes
export PATH="$PATH:/usr/sbin:/sbin"
# Whatever steers the client commands of another cluster (formats, partitions, time limits) has no say here.
unset "${!SQUEUE_@}" "${!SINFO_@}" "${!SCANCEL_@}" SLURM_CLUSTERS

fail() {
  echo "slurm.sh: $1" >&2
  exit "${2:-70}"
}

# wait_for SECONDS COMMAND...: until the command succeeds; false if it never did in that time.
wait_for() {
  local end=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $end ] || return 1
    sleep 0.1
  done
}

# ask COMMAND...: a Slurm command of this cluster. They retry for minutes when nobody answers; here they get 10 s.
ask() { SLURM_CONF="$dir/slurm.conf" timeout -k 1 10 "$@"; }

# The 22nd field of /proc/PID/stat, which tells a process from a later one of the same number.
start_time() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d ' ' -f 20; }

# alive PID START: whether this very process runs; one that only waits to be reaped does not.
alive() {
  [ "$(start_time "$1")" = "$2" ] && [ "$(sed 's/.*) \(.\).*/\1/' "/proc/$1/stat" 2>/dev/null)" != Z ]
}
gone() { ! alive "$@"; }

# process NAME: `pid start-time` of a daemon that was recorded, if it still runs.
process() {
  local name pid start
  while read -r name pid start; do
    if [ "$name" = "$1" ] && alive "$pid" "$start"; then
      echo "$pid $start"
      return 0
    fi
  done <"$dir/$marker"
  return 1
}

# launch NAME COMMAND...: runs a daemon in a session of its own, with its output in a log, and records it.
launch() {
  local name=$1
  shift
  process "$name" >/dev/null && return 0
  setsid "$@" </dev/null >>"$dir/log/$name.out" 2>&1 &
  echo "$name $! $(start_time $!)" >>"$dir/$marker"
}

# give_up NAME WHAT: ends what has been started and says why, with the last words of the daemon that failed.
give_up() {
  local words
  words=$(cat "$dir/log/$1.out" "$dir/log/$1.log" 2>/dev/null | grep -iE 'error|fatal' | tail -n 3)
  stop
  fail "$1 $2${words:+:
$words}" 69
}

free_port() {
  local port
  for _ in {1..200}; do
    port=$((20000 + RANDOM % 10000))
    if [ "$port" != "${1:-}" ] && ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
      echo "$port"
      return 0
    fi
  done
  return 1
}

check_packages() {
  local command package
  while read -r command package; do
    command -v "$command" >/dev/null || fail "$command is not installed: apt-get install $package" 69
  done <<'END'
munged munge
slurmctld slurmctld
slurmd slurmd
scontrol slurm-client
END
}

write_configuration() {
  local host user controller daemon memory
  host=$(hostname -s)
  user=$(id -un)
  controller=$(free_port) && daemon=$(free_port "$controller") || fail "found no free port between 20000 and 29999" 69
  memory=$(awk '/^MemTotal:/ { print int($2 / 1024 * 0.9) }' /proc/meminfo)
  : >"$dir/plugstack.conf"
  (umask 077 && head -c 1024 /dev/urandom >"$dir/munge/key") || fail "cannot write $dir/munge/key" 74
  cat >"$dir/slurm.conf" <<END || fail "cannot write $dir/slurm.conf" 74
# Written by tools/slurm.sh.
ClusterName=tributary
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$controller
SlurmdPort=$daemon
SlurmUser=$user
SlurmdUser=$user
AuthType=auth/munge
CredType=cred/munge
# A requeued job starts when its old credential has expired: not in 2 minutes but soon.
AuthInfo=socket=$dir/munge/socket,cred_expire=5
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd.pid
SlurmctldLogFile=$dir/log/slurmctld.log
SlurmdLogFile=$dir/log/slurmd.log
PlugStackConfig=$dir/plugstack.conf
MailProg=/bin/true
# No control groups, no accounting: neither is there in a container.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=pmix
# From SIGTERM to SIGKILL at the time limit and after scancel. Real clusters wait 30 s.
KillWait=5
# Node and jobs are looked at often, so that tests need not wait.
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=5,bf_interval=5
SlurmctldTimeout=30
SlurmdTimeout=60
MessageTimeout=10
InactiveLimit=0
ReturnToService=2
# Cores are handed out; up to 8 jobs share one.
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
NodeName=$host NodeHostname=$host NodeAddr=127.0.0.1 CPUs=$(getconf _NPROCESSORS_ONLN) RealMemory=$memory State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE DefaultTime=10 OverSubscribe=FORCE:8 State=UP
END
}

takes_jobs() { [[ "$(ask sinfo --noheader --format=%t)" =~ ^(idle|mix|alloc)$ ]]; }

start() {
  if [ ! -e "$dir/$marker" ]; then
    mkdir -p "$dir" && [ -z "$(ls -A "$dir")" ] || fail "$dir must be a new or an empty directory" 73
    chmod 755 "$dir" && mkdir -p "$dir"/{munge,state,spool,log} || fail "cannot write into $dir" 74
    : >"$dir/$marker"
    [ ${#dir} -le 80 ] || give_up start "needs a directory name of at most 80 characters, for its sockets: $dir"
    write_configuration
  fi
  # --force: a key below a directory that its group may write, as /tmp often is in containers, is good enough here.
  launch munged munged --foreground --force --socket="$dir/munge/socket" --key-file="$dir/munge/key" \
    --pid-file="$dir/munge/pid" --seed-file="$dir/munge/seed" --log-file="$dir/log/munged.log"
  wait_for 10 munge --no-input --socket="$dir/munge/socket" || give_up munged "does not answer"
  launch slurmctld env SLURM_CONF="$dir/slurm.conf" slurmctld -D
  launch slurmd env SLURM_CONF="$dir/slurm.conf" slurmd -D
  wait_for 30 eval 'ask scontrol ping | grep -q UP' || give_up slurmctld "does not answer"
  wait_for 30 takes_jobs || give_up slurmd "is not ready for jobs ($(ask sinfo --noheader --format='%t, %E'))"
  echo "export SLURM_CONF=$(printf %q "$dir/slurm.conf") SLURM_OVERCOMMIT=1 SBATCH_OVERCOMMIT=1 SALLOC_OVERCOMMIT=1"
}

no_jobs() { ! ask squeue --noheader --states=all --format=%T | grep -qE 'ING$|SUSPENDED'; }

# Every job's processes end before slurmd does, since nobody would end them afterwards.
cancel_jobs() {
  local pid
  local -a left=()
  process slurmctld >/dev/null && process slurmd >/dev/null && takes_jobs || return 0
  ask scancel --quiet --user="$(id -un)"
  wait_for 15 no_jobs && return 0
  while read -r pid; do left+=("$pid $(start_time "$pid")"); done < <(ask scontrol listpids | awk '$1 > 0 { print $1 }')
  ask scancel --quiet --full --signal=KILL --user="$(id -un)"
  wait_for 10 no_jobs
  for pid in "${left[@]}"; do
    # shellcheck disable=SC2086  # two words: pid and start time
    alive $pid && kill -KILL "${pid% *}"
  done
}

stop() {
  local name found pid start
  [ -e "$dir/$marker" ] || return 0
  cancel_jobs
  for name in slurmd slurmctld munged; do
    while found=$(process $name); do
      read -r pid start <<<"$found"
      kill -TERM "$pid"
      wait_for 10 gone "$pid" "$start" && continue
      kill -KILL "$pid"
      wait_for 5 gone "$pid" "$start" || fail "$name (process $pid) does not end; $dir stays"
    done
  done
  rm -rf "$dir"
  echo "slurm.sh: stopped; $dir is removed" >&2
}

status() {
  local name found all=0
  for name in munged slurmctld slurmd; do
    if [ -e "$dir/$marker" ] && found=$(process $name); then
      echo "$name runs as process ${found% *}"
    else
      echo "$name does not run"
      all=1
    fi
  done
  [ $all -eq 0 ] && ask sinfo --noheader --format='node %N: %t, %c cores' && ask squeue
  [ $all -eq 0 ] && takes_jobs
}

usage() { sed -n '3,13s/^# \{0,1\}//p' "$0"; }

if [ $# -gt 2 ]; then
  usage >&2
  exit 64
fi
dir=${2:-}
if [ -z "$dir" ] && [ -n "${SLURM_CONF:-}" ] && [ -e "$(dirname "$SLURM_CONF")/$marker" ]; then
  dir=$(dirname "$SLURM_CONF")
fi
case "${1:-}" in
  start)
    check_packages
    if [ -z "$dir" ]; then
      dir=$(mktemp -d "${TMPDIR:-/tmp}/tributary-slurm-XXXXXX") || fail "cannot make a temporary directory" 74
    fi
    dir=$(realpath -m "$dir")
    start
    ;;
  stop | status)
    [ -n "$dir" ] || fail "which one? Name its directory, or set SLURM_CONF" 64
    dir=$(realpath -m "$dir")
    "$1"
    ;;
  -h | --help) usage ;;
  *)
    usage >&2
    exit 64
    ;;
esac
