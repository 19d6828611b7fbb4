#!/bin/sh
# shellcheck disable=SC2034  # what the sourced scripts read
# The job of a workspace, in POSIX sh, because an image may have no other shell.
#
#   sh job.sh fetch FILE             clone the source, unless the project's folder is already there
#   sh job.sh run FILE               preStart, postStart, ready, until TERM or the deadline; preStop
#   sh job.sh enter FILE [ARG...]    become a shell, or ARG..., with the workspace's environment
#   sh job.sh listening FILE         print the ports that the workspace listens on
#   sh job.sh shells FILE            print how many of its user's sessions are open
#
# FILE is the rendered workload (render.py): an absolute path, sourced by this script.
# fetch and run are separate so that a provider may fetch with the user's own git, keys and network outside
# of the isolation, and run in an image without git.
#
# Environment: PROJECTS_ROOT (needed), WSDASH_BEAT_S (seconds between two beats, 10), WSDASH_DEADLINE
# (seconds after which run ends by itself; none).
# Standard output carries the log, and between its lines the protocol that protocol.py reads.
# WSDASH_KEEP_AWAKE (names of processes that count as activity), WSDASH_IDLE_CPU (CPU usage, in hundredths of a core, from which
# a container counts as active),
# WSDASH_EMIT_HOOK (a file that is sourced, and may define `emit` again; none), WSDASH_AFTER_FETCH and
# WSDASH_BEFORE_END (command lines, run after fetch and before run ends; none).
# The scripts that it sources are in the same folder. protocol.py has names for the exit codes.
# shellcheck source=/dev/null
. "${0%/*}/common.sh"
# shellcheck source=/dev/null
. "${0%/*}/activity.sh"
# shellcheck source=/dev/null
. "${0%/*}/steps.sh"
# shellcheck source=/dev/null
. "${0%/*}/git_settings.sh"

done_well=0
file=
stop=                 # why the job ends; empty while it continues
worker=               # the background process of the present phase
worker_ended=
now=0
active=0
setting_up=yes        # until the source, preStart and postStart are done
setup_status=         # the exit code of the process of preStart and postStart
beats=1
disk_free=
# From FILE:
project_folder=
git_name=
git_email=

emit() {
  printf 'wsdash/1 %s %s\n' "$1" "$2"
}

# --- time and beats: builtins and /proc, because a hundred jobs may run on one machine ----------------

measure_disk() {
  disk_free=
  have df || return 0
  disk_free=$(df -Pk "$PROJECTS_ROOT" 2>/dev/null | {
    read -r _
    read -r _ _ _ free _ && printf '%s' "$free"
  })
  case $disk_free in '' | *[!0-9]*) disk_free= ;; *) disk_free=$((disk_free * 1024)) ;; esac
}

beat() {
  [ "$((beats % 6))" -ne 1 ] || measure_disk
  beats=$((beats + 1))
  set_now
  measure_activity
  facts="\"at\":$now,\"active\":$active,\"shells\":$shells"
  if read -r load _ 2>/dev/null </proc/loadavg; then facts="$facts,\"load\":$load"; fi
  if read -r memory 2>/dev/null </sys/fs/cgroup/memory.current; then facts="$facts,\"memory\":$memory"; fi
  [ -z "$disk_free" ] || facts="$facts,\"disk_free\":$disk_free"
  emit beat "{$facts}"
}

# --- waiting ------------------------------------------------------------------------------------------

# The traps end the nap themselves: a signal just before `wait` would otherwise be noticed late.
# shellcheck disable=SC2317,SC2329  # called by a trap
on_stop() {
  [ -n "$stop" ] || stop=cancelled
  on_wake
}

# shellcheck disable=SC2317,SC2329  # called by a trap
on_worker_ended() {
  worker_ended=yes
  on_wake
}

# Sends heartbeats until the worker ends (with $1 = worker) or the job must stop.
beat_until() {
  worker_ended=
  while woken= && [ -z "$stop" ]; do
    beat
    if [ "$1" = worker ]; then
      [ -z "$worker_ended" ] || break
      ! has_ended "$worker" || break
    else
      worker_ended=
      [ -n "$setting_up$setup_status" ] || end_if_setup_broke
      [ -z "$stop" ] || break
    fi
    delay=${WSDASH_BEAT_S:-10}
    if [ -n "${deadline_at:-}" ]; then
      left=$((deadline_at - now))
      if [ "$left" -le 0 ]; then
        stop=deadline
        break
      fi
      [ "$left" -ge "${delay%%.*}" ] || delay=$left
    fi
    nap "$delay"
    [ "$1" != worker ] || [ -z "$worker_ended" ] || break
  done
}

# A killed setup, for example for lack of memory, reports nothing; a process that waits for its report would never end.
end_if_setup_broke() {
  setup_status=0
  wait "$worker" || setup_status=$?
  [ "$setup_status" -ne 0 ] || return 0
  if [ "$setup_status" -gt 128 ]; then
    say "The setup was killed by signal $((setup_status - 128)) before it was done."
  else
    say "The setup ended with exit code $setup_status before it was done."
  fi
  [ -n "$stop" ] || stop='the setup was not done'
}

# Sends TERM to process $1 and all below it: a parent before its children, so that it starts no further ones.
end_tree() {
  children=
  children_of "$1"
  kill -TERM "$1" 2>/dev/null
  for child in $children; do end_tree "$child"; done
}

await_worker() {
  status=0
  wait "$worker" || status=$?
  # A trapped signal interrupts `wait`.
  while ! has_ended "$worker"; do
    wait "$worker" || status=$?
  done
}

# --- phases and commands -----------------------------------------------------------------------------

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

# Exit code 2 (no receiver for the checkpoint) does not count as a failure of the workspace.
do_checkpoint() {
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

emit_end() {
  emit end "{\"cause\":\"$1\",\"message\":\"$2\"}"
}

job_run() {
  mkdir -p "$PROJECT_SOURCE" || { say "cannot make the folder $PROJECT_SOURCE"; exit 1; }
  set_now
  rm -rf "$sessions"
  set_git_identity
  deadline_at=
  case ${WSDASH_DEADLINE:-} in
    '') ;;
    *[!0-9]*) say "WSDASH_DEADLINE is not a whole number of seconds and is ignored: $WSDASH_DEADLINE" ;;
    *) deadline_at=$((now + WSDASH_DEADLINE)) ;;
  esac
  for tool in sleep date df; do
    have "$tool" || say "$tool is missing: heartbeats are less exact."
  done
  [ -n "$has_proc" ] || say 'This machine has no /proc: no ports are listed, and forwarded ports and computing are no activity.'
  have sleep || { emit_end image 'the image holds no sleep, which a job needs'; exit 1; }
  do_entrypoint &
  # A shell without job control starts background processes with SIGINT ignored, and their children inherit that.
  do_phases &
  worker=$!
  beat_until stop
  end_tree "$worker"
  await_worker
  reason=$stop
  say "ending: $reason"
  stop=
  do_pre_stop &
  worker=$!
  deadline_at=
  beat_until worker
  # A second TERM while preStop runs changes nothing: KILL ends the job at once.
  await_worker
  if [ -n "${WSDASH_BEFORE_END:-}" ]; then
    do_checkpoint &
    worker=$!
    beat_until worker
    await_worker
  fi
  case $reason in
    deadline) emit_end deadline 'the deadline of the job came' ;;
    cancelled) emit_end cancelled 'ended on request' ;;
    *) exit "$setup_status" ;;
  esac
  exit "$done_well"
}

# --- enter --------------------------------------------------------------------------------------------

# A terminal's language that the image does not know makes many a program complain.
fit_locale() {
  known=$(locale -a 2>/dev/null | tr -d -- - | tr '[:upper:]' '[:lower:]') && [ -n "$known" ] || return 0
  for name in LANG $(env | sed -n 's/^\(LC_[A-Z]*\)=.*/\1/p'); do
    eval "value=\${$name:-}"
    [ -n "$value" ] || continue
    printf '%s\n' "$known" | grep -qxF "$(printf '%s' "$value" | tr -d -- - | tr '[:upper:]' '[:lower:]')" ||
      if printf '%s\n' "$known" | grep -qx c.utf8; then export "$name=C.UTF-8"; else unset "$name"; fi
  done
}

# The profile of a login shell may set PATH again, so the workload's environment comes after it.
job_enter() {
  cd "${WSDASH_START_DIR:-$PROJECT_SOURCE}" 2>/dev/null || cd "$PROJECT_SOURCE" 2>/dev/null || cd "$PROJECTS_ROOT" || exit 1
  unset WSDASH_START_DIR
  stdin=other
  [ ! -t 0 ] || stdin="terminal $(tty 2>/dev/null)"
  mkdir -p "$sessions" && printf '%s\n' "$stdin" >"$sessions/$$"
  fit_locale
  if [ "$#" -eq 0 ]; then
    shell='sh'
    ! have bash || shell='bash'
    # shellcheck disable=SC2016  # expanded by the shell that is started here
    set -- "$shell" -lc '. "$1"; environment; exec "$0" -i' "$shell" "$file"
  fi
  environment
  # A desktop editor enters so, and brings its server after that.
  [ ! -e "$HOME/.config/wsdash/editor-extensions" ] ||
    (sh "${0%/*}/customize_editor.sh" servers </dev/null >/dev/null 2>&1 &)
  exec "$@"
}

# A heartbeat has the same number, but it may be older than a shell.
job_shells() {
  shells=0
  for session in "$sessions"/*; do
    [ ! -e "$session" ] || has_ended "${session##*/}" || shells=$((shells + 1))
  done
  printf '%s\n' "$shells"
}

# ------------------------------------------------------------------------------------------------------

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
  [ -z "${WSDASH_EMIT_HOOK:-}" ] || . "$WSDASH_EMIT_HOOK"
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
