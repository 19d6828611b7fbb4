#!/bin/sh
# The job of a workspace, in POSIX sh: an image may hold nothing more.
#
#   sh job.sh fetch FILE             clone the source, unless the project's folder is already there
#   sh job.sh run FILE               preStart, postStart, ready, until TERM or the deadline; preStop
#   sh job.sh enter FILE [ARG...]    become a shell, or ARG..., with the workspace's environment
#   sh job.sh listening FILE         say what the workspace listens on
#   sh job.sh shells FILE            say how many of its user's sessions are open
#
# FILE is the rendered workload (rendering.py): an absolute path, sourced by this script.
# fetch and run are apart so that a provider may fetch with the user's own git, keys and network outside
# of the isolation, and run in an image that holds no git.
#
# Environment: PROJECTS_ROOT (needed), WSDASH_BEAT_S (seconds between two beats, 10), WSDASH_DEADLINE
# (seconds after which run ends by itself; none).
# Standard output carries the log, and between its lines the protocol that protocol.py reads.
# WSDASH_KEEP_AWAKE (names of processes that are activity), WSDASH_IDLE_CPU (hundredths of a core from which on a
# container's computing is activity),
# WSDASH_REPORTER (a file that is sourced, and may say otherwise where `emit` goes; none), WSDASH_AFTER_FETCH and
# WSDASH_BEFORE_END (command lines, run after fetch and before run ends; none).
# fetch.sh and ports.sh stand beside this file. Exit codes are named again in protocol.py.
done_well=0

file=
stop=                 # why the job ends; empty while it goes on
worker=               # the background process that does the present phase
worker_ended=
nap_pid=
now=0
active=0
setting_up=yes        # until the source, preStart and postStart are done
setup_status=         # what the process ended with that does preStart and postStart
clock_offset=0
beats=1
disk_free=
# From FILE:
project_folder=
git_name=
git_email=

say() {
  printf 'wsdash: %s\n' "$1"
}

emit() {
  printf 'wsdash/1 %s %s\n' "$1" "$2"
}

have() {
  command -v "$1" >/dev/null 2>&1
}

# --- time and beats: builtins and /proc, since a hundred jobs may run on one machine ------------------

set_clock() {
  epoch=$(date +%s 2>/dev/null) || epoch=0
  if read -r uptime _ 2>/dev/null </proc/uptime; then
    clock_offset=$((${epoch:-0} - ${uptime%%.*}))
  fi
}

tell_time() {
  if read -r uptime _ 2>/dev/null </proc/uptime; then
    now=$((clock_offset + ${uptime%%.*}))
  else
    now=$(date +%s 2>/dev/null) || now=0
  fi
}

measure_disk() {
  disk_free=
  have df || return 0
  disk_free=$(df -Pk "$PROJECTS_ROOT" 2>/dev/null | {
    read -r _
    read -r _ _ _ free _ && printf '%s' "$free"
  })
  case $disk_free in '' | *[!0-9]*) disk_free= ;; *) disk_free=$((disk_free * 1024)) ;; esac
}

# When somebody last typed into a shell here or used the editor, which is what `idle_minutes` counts from.
# A shell leaves a file named by its process. A terminal knows when it was last read from; what has none, such as
# a copy, counts while it goes on. code-server touches a file while it is used.
measure_activity() {
  # A setup mostly waits for the network, and no stop may come before its end: the idle time begins there.
  if [ -n "$setting_up" ]; then
    was_active "$now"
    [ "$entry" = fetch ] || ! has_ended "$worker" || setting_up=
  fi
  shells=0
  for session in "$sessions"/*; do
    [ -e "$session" ] || continue
    if has_ended "${session##*/}"; then
      rm -f "$session"
      continue
    fi
    shells=$((shells + 1))
    at=
    read -r stdin 2>/dev/null <"$session"
    [ "$stdin" != terminal ] || at=$(stat -Lc %X "/proc/${session##*/}/fd/0" 2>/dev/null)
    was_active "${at:-$now}"
  done
  for name in ${WSDASH_KEEP_AWAKE:-}; do ! runs "$name" || was_active "$now"; done
  measure_cpu
  measure_forwarding
  used=${HOME:-}/.local/share/code-server/heartbeat
  [ ! -e "$used" ] || was_active "$(stat -c %Y "$used" 2>/dev/null)"
}

# runs NAME: whether a process has this name.
runs() {
  for comm in /proc/[0-9]*/comm; do
    read -r found 2>/dev/null <"$comm" && [ "$found" = "$1" ] && return 0
  done
  return 1
}

# A forwarded port has no session beside it: what goes through is told by the bytes of the process that carries it.
# Those that keep the line alive are fewer.
measure_forwarding() {
  server=
  read -r server 2>/dev/null <"${WSDASH_RUN:-/nowhere}/access/pid" || return 0
  connections=
  read -r connections 2>/dev/null <"/proc/$server/task/$server/children"
  carriers=' '
  for connection in $connections; do
    carried=0
    only_carries "$connection" || continue
    case ${carried_before:-} in
      *" $connection="*)
        before=${carried_before#*" $connection="}
        [ $((carried - ${before%% *})) -lt 4096 ] || was_active "$now"
        ;;
    esac
    carriers="$carriers$connection=$carried "
  done
  carried_before=$carriers
}

# Adds the bytes of an SSH server's process and those below it to `carried`; fails where one of them is a session.
only_carries() {
  comm=
  read -r comm 2>/dev/null <"/proc/$1/comm"
  case $comm in sshd* | dropbear*) ;; *) return 1 ;; esac
  while read -r key bytes; do
    case $key in rchar: | wchar:) carried=$((carried + bytes)) ;; esac
  done 2>/dev/null <"/proc/$1/io"
  below=
  read -r below 2>/dev/null <"/proc/$1/task/$1/children"
  for child in $below; do only_carries "$child" || return 1; done
}

# What computes is no idle workspace. In a container of its own all of its time counts; else, where others use the machine
# too, that of the job's processes and of those below them.
measure_cpu() {
  [ -n "${WSDASH_IDLE_CPU:-}" ] || return 0
  cgroup=${WSDASH_CGROUP:-/sys/fs/cgroup}
  used=
  if [ -e "$cgroup/cgroup.type" ]; then
    while read -r key used; do [ "$key" != usage_usec ] || break; done 2>/dev/null <"$cgroup/cpu.stat"
    case ${used:-} in '' | *[!0-9]*) return 0 ;; esac
    used=$((used / 10000))
  else
    used=0
    # What its starter has left behind is with the supervisor of a local job.
    add_ticks "${WSDASH_MAIN:-$PPID}"
  fi
  if [ -n "${cpu_at:-}" ] && [ "$now" -gt "$cpu_at" ]; then
    # In hundredths of a core.
    [ $(((used - cpu_used) / (now - cpu_at))) -lt "$WSDASH_IDLE_CPU" ] || was_active "$now"
  fi
  cpu_used=$used cpu_at=$now
}

# Adds what a process, those that it has waited for, and all below it have computed to `used`, in hundredths of a second:
# the kernel counts in these for everybody (USER_HZ).
add_ticks() {
  stat_line=
  read -r stat_line 2>/dev/null <"/proc/$1/stat" || return 0
  below=
  read -r below 2>/dev/null <"/proc/$1/task/$1/children"
  # Its name may hold anything; the fields behind it are numbers.
  # shellcheck disable=SC2086
  set -- ${stat_line##*) }
  shift 11
  used=$((used + $1 + $2 + $3 + $4))
  for child in $below; do add_ticks "$child"; done
}

was_active() {
  case $1 in '' | *[!0-9]*) return 0 ;; esac
  [ "$1" -le "$active" ] || active=$1
  [ "$active" -le "$now" ] || active=$now
}

beat() {
  # The wall clock may be set while the job runs, so ask for it again now and then.
  [ "$((beats % 60))" -ne 0 ] || set_clock
  [ "$((beats % 6))" -ne 1 ] || measure_disk
  beats=$((beats + 1))
  tell_time
  measure_activity
  facts="\"at\":$now,\"active\":$active,\"shells\":$shells"
  if read -r load _ 2>/dev/null </proc/loadavg; then facts="$facts,\"load\":$load"; fi
  if read -r memory 2>/dev/null </sys/fs/cgroup/memory.current; then facts="$facts,\"memory\":$memory"; fi
  [ -z "$disk_free" ] || facts="$facts,\"disk_free\":$disk_free"
  emit beat "{$facts}"
}

# --- waiting ------------------------------------------------------------------------------------------

# The traps end the nap themselves: a signal that comes just before `wait` would else be noticed late.
# shellcheck disable=SC2317,SC2329  # called by a trap
on_stop() {
  [ -n "$stop" ] || stop=cancelled
  [ -z "$nap_pid" ] || kill "$nap_pid" 2>/dev/null
}

# shellcheck disable=SC2317,SC2329  # called by a trap
on_worker_ended() {
  worker_ended=yes
  [ -z "$nap_pid" ] || kill "$nap_pid" 2>/dev/null
}

nap() {
  # Who waits for the end of the job's output must not wait for a nap that missed its signal.
  sleep "$1" >/dev/null 2>&1 &
  nap_pid=$!
  [ -n "$stop$worker_ended" ] || wait "$nap_pid"
  kill "$nap_pid" 2>/dev/null
  nap_pid=
}

has_ended() {
  read -r stat_line 2>/dev/null <"/proc/$1/stat" || return 0
  case $stat_line in *') Z '*) return 0 ;; esac
  return 1
}

# Beats until the worker ends (with $1 = worker) or the job is to stop.
tend() {
  worker_ended=
  while [ -z "$stop" ]; do
    beat
    if [ "$1" = worker ]; then
      [ -z "$worker_ended" ] || break
      ! has_ended "$worker" || break
    else
      worker_ended=
      [ -n "$setting_up$setup_status" ] || end_if_setup_broke
      [ -z "$stop" ] || break
    fi
    pause=${WSDASH_BEAT_S:-10}
    if [ -n "${deadline_at:-}" ]; then
      left=$((deadline_at - now))
      if [ "$left" -le 0 ]; then
        stop=deadline
        break
      fi
      [ "$left" -ge "${pause%%.*}" ] || pause=$left
    fi
    nap "$pause"
    [ "$1" != worker ] || [ -z "$worker_ended" ] || break
  done
}

# A setup that was killed, such as for want of memory, has told nobody: who waits for it would wait for ever.
end_if_setup_broke() {
  setup_status=0
  wait "$worker" || setup_status=$?
  [ "$setup_status" -ne 0 ] || return 0
  if [ "$setup_status" -gt 128 ]; then
    say "The setup was killed by signal $((setup_status - 128)) before it was done."
  else
    say "The setup broke off with exit code $setup_status before it was done."
  fi
  [ -n "$stop" ] || stop='the setup was not done'
}

# TERM to process $1 and all below it: a parent before its children, so that it starts no other.
end_tree() {
  children=
  read -r children 2>/dev/null <"/proc/$1/task/$1/children"
  kill -TERM "$1" 2>/dev/null
  for child in $children; do end_tree "$child"; done
}

await_worker() {
  status=0
  wait "$worker" || status=$?
  # A trapped signal cuts `wait` short.
  while ! has_ended "$worker"; do
    wait "$worker" || status=$?
  done
}

# --- phases and commands -----------------------------------------------------------------------------

# shellcheck disable=SC2317,SC2329  # called by run and by fetch.sh
step_started() {
  tell_time
  emit step "{\"phase\":\"$1\"${2:+,\"command\":\"$2\"},\"state\":\"start\",\"at\":$now}"
}

# shellcheck disable=SC2317,SC2329  # called by run and by fetch.sh
step_ended() {
  tell_time
  emit step "{\"phase\":\"$1\"${2:+,\"command\":\"$2\"},\"state\":\"end\",\"at\":$now,\"exit\":$3}"
}

# run ID FOLDER LINE [NAME=VALUE...]: one command of the rendered workload. A relative FOLDER is below the
# project's. The environment is set in the subshell only: the workload's PATH must not break this script;
# and from there only positional parameters count, for the workload may name a variable as this script does.
# shellcheck disable=SC2317,SC2329  # called by the workload's file
run() {
  id=$1
  shift
  step_started "$phase" "$id"
  (
    cd "$PROJECT_SOURCE" && { [ -z "$1" ] || cd "$1"; } || exit 1
    environment
    set -- "$@" "$2"
    shift 2
    while [ "$#" -gt 1 ]; do
      export "${1?}"
      shift
    done
    exec sh -c "$1"
  ) </dev/null
  status=$?
  [ "$status" -eq 0 ] || say "$phase $id failed with exit code $status; the workspace goes on."
  step_ended "$phase" "$id" "$status"
  return "$status"
}

# once MARK run ID ...: not where it has succeeded in this workspace before.
# shellcheck disable=SC2317,SC2329  # called by the workload's file
once() {
  mark=$PROJECTS_ROOT/.wsdash/done/$1
  shift
  if [ -e "$mark" ]; then
    say "$phase $2 was done at an earlier start."
    return 0
  fi
  "$@" && mkdir -p "${mark%/*}" && : >"$mark"
}

# await PID...: fails if one of them does.
# shellcheck disable=SC2317,SC2329  # called by the workload's file
await() {
  failed=0
  for pid; do
    wait "$pid" || failed=1
  done
  return "$failed"
}

# expect NAME: a variable that comes from the provider, and not from the workload.
# shellcheck disable=SC2317,SC2329  # called by the workload's file
expect() {
  eval "[ -n \"\${$1+set}\" ]" || say "The secret $1 is not given to this job. Where it is to come from, docs/gitlab.md says."
}

# What the workload waits for has been done; the rest goes on while the user works.
ready() {
  [ -n "$is_ready" ] || emit ready '{}'
  is_ready=yes
}

do_phases() {
  notices
  secrets
  phase=preStart
  pre_start
  phase=postStart
  is_ready=
  post_start
  ready
}

do_pre_stop() {
  phase=preStop
  pre_stop
  kill -USR1 "$$" 2>/dev/null
}

# What is done before the end is no failure of the workspace's where nobody is there to take it (exit code 2).
do_save() {
  step_started checkpoint ''
  outcome=$(sh -c "$WSDASH_BEFORE_END" </dev/null)
  status=$?
  say "checkpoint: $outcome"
  [ "$status" -ne 2 ] || status=0
  step_ended checkpoint '' "$status"
  kill -USR1 "$$" 2>/dev/null
}

do_entrypoint() {
  phase=entrypoint
  entrypoint
}

# In the file that the user's own settings, such as those of dotfiles, come after.
set_git_identity() {
  [ -n "$git_email" ] && have git || return 0
  ! git config --global user.email >/dev/null 2>&1 || return 0
  settings=${XDG_CONFIG_HOME:-${HOME:-}/.config}/git/config
  mkdir -p "${settings%/*}" && git config --file "$settings" user.name "$git_name" &&
    git config --file "$settings" user.email "$git_email"
}

finish() {
  emit end "{\"cause\":\"$1\",\"message\":\"$2\"}"
}

job_run() {
  mkdir -p "$PROJECT_SOURCE" || { say "cannot make the folder $PROJECT_SOURCE"; exit 1; }
  set_clock
  tell_time
  rm -rf "$sessions"
  set_git_identity
  deadline_at=
  case ${WSDASH_DEADLINE:-} in
    '') ;;
    *[!0-9]*) say "WSDASH_DEADLINE is no whole number of seconds and is ignored: $WSDASH_DEADLINE" ;;
    *) deadline_at=$((now + WSDASH_DEADLINE)) ;;
  esac
  for tool in sleep date df; do
    have "$tool" || say "$tool is missing: heartbeats are less exact."
  done
  have sleep || { finish image 'the image holds no sleep, which a job needs'; exit 1; }
  do_entrypoint &
  # A shell without job control starts background processes with SIGINT ignored; so are their children.
  do_phases &
  worker=$!
  tend stop
  end_tree "$worker"
  await_worker
  reason=$stop
  say "ending: $reason"
  stop=
  do_pre_stop &
  worker=$!
  deadline_at=
  tend worker
  # A second TERM while preStop runs changes nothing: whoever is in a hurry sends KILL.
  await_worker
  if [ -n "${WSDASH_BEFORE_END:-}" ]; then
    do_save &
    worker=$!
    tend worker
    await_worker
  fi
  case $reason in
    deadline) finish deadline 'the deadline of the job came' ;;
    cancelled) finish cancelled 'ended on request' ;;
    *) exit "$setup_status" ;;
  esac
  exit "$done_well"
}

# --- enter --------------------------------------------------------------------------------------------

# The profile of a login shell may set PATH again, so the workload's environment comes after it.
job_enter() {
  cd "${WSDASH_HERE:-$PROJECT_SOURCE}" 2>/dev/null || cd "$PROJECT_SOURCE" 2>/dev/null || cd "$PROJECTS_ROOT" || exit 1
  unset WSDASH_HERE
  stdin=other
  [ ! -t 0 ] || stdin=terminal
  mkdir -p "$sessions" && printf '%s\n' "$stdin" >"$sessions/$$"
  if [ "$#" -eq 0 ]; then
    shell='sh'
    ! have bash || shell='bash'
    # shellcheck disable=SC2016  # expanded by the shell that is started here
    set -- "$shell" -lc '. "$1"; environment; exec "$0" -i' "$shell" "$file"
  fi
  environment
  exec "$@"
}

# A heartbeat says the same, but may be older than a shell.
job_shells() {
  shells=0
  for session in "$sessions"/*; do
    [ ! -e "$session" ] || has_ended "${session##*/}" || shells=$((shells + 1))
  done
  printf '%s\n' "$shells"
}

# ------------------------------------------------------------------------------------------------------

git_setting() {
  export "GIT_CONFIG_KEY_${GIT_CONFIG_COUNT:=0}=$1" "GIT_CONFIG_VALUE_$GIT_CONFIG_COUNT=$2"
  export GIT_CONFIG_COUNT="$((GIT_CONFIG_COUNT + 1))"
}

# Git has the credentials that the workspace was given with its addresses, for their hosts: they stand in a file beside
# this script, and in no address, argument or environment. The empty helper takes away those that would keep them.
give_credentials() {
  [ -r "$WSDASH_SCRIPTS/git-credentials" ] || return 0
  while read -r line; do
    user=${line#*://}
    user=${user%@*}
    url=${line%%://*}://${line##*@}
    case ${url#*://} in */*) git_setting "credential.$url.useHttpPath" true ;; esac
    case $user in
      *:*)
        git_setting "credential.$url.helper" ''
        # shellcheck disable=SC2016  # expanded by the helper itself
        git_setting "credential.$url.helper" \
          '!f() { [ "$1" != get ] || git credential-store --file "$WSDASH_SCRIPTS/git-credentials" get; }; f'
        ;;
      *) git_setting "credential.$url.username" "$user" ;;
    esac
  done <"$WSDASH_SCRIPTS/git-credentials"
  unset line user url
}

main() {
  entry=${1:-}
  file=${2:-}
  case $entry in
    fetch | run | enter | listening | shells) ;;
    *) printf 'usage: sh job.sh fetch|run|enter|listening|shells FILE\n' >&2; exit 64 ;;
  esac
  [ -r "$file" ] || { printf 'job.sh: cannot read the workload %s\n' "$file" >&2; exit 64; }
  [ -n "${PROJECTS_ROOT:-}" ] || { printf 'job.sh: PROJECTS_ROOT is not set\n' >&2; exit 64; }
  shift 2
  # shellcheck source=/dev/null
  . "$file"
  # shellcheck source=/dev/null
  [ "$entry" = fetch ] || [ ! -r "${file%/*}/secrets.sh" ] || . "${file%/*}/secrets.sh"
  # shellcheck source=/dev/null
  [ -z "${WSDASH_REPORTER:-}" ] || . "$WSDASH_REPORTER"
  PROJECT_SOURCE=$PROJECTS_ROOT${project_folder:+/$project_folder}
  sessions=$PROJECTS_ROOT/.wsdash/sessions
  WSDASH_SCRIPTS=${0%/*}
  export PROJECTS_ROOT PROJECT_SOURCE WSDASH_SCRIPTS
  give_credentials
  case $entry in
    enter) job_enter "$@" ;;
    listening)
      # shellcheck source=/dev/null
      . "${0%/*}/ports.sh"
      job_listening
      return
      ;;
    shells)
      job_shells
      return
      ;;
  esac
  exec 2>&1
  trap on_stop TERM INT HUP
  trap on_worker_ended USR1
  case $entry in
    fetch)
      # shellcheck source=/dev/null
      . "${0%/*}/fetch.sh"
      job_fetch
      ;;
    run) job_run ;;
  esac
}

main "$@"
exit
