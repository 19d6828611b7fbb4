#!/bin/sh
# The first script of a job on GitLab, before any file of its workspace is touched: no other job may work in its folder.
# It runs from the configuration itself, with the folder's lock open as 9, which the runner's shell holds until the job ends.
#
# Another job of the workspace on this host (a killed runner leaves its jobs alive) gets a signal to end, saves, and is killed
# if it does not end. A job in another container is invisible, but holds the lock: with its next heartbeat it reads the file
# `wanted`, which says that a newer attempt waits. An older attempt always yields to a newer one.
# Environment: WSDASH_WORKSPACE, WSDASH_ATTEMPT, CI_JOB_ID, CI_SERVER_URL, WSDASH_TERMINATION_S (seconds
# for the other to end, 90). $1 is the workspace's folder.

# shellcheck source=/dev/null
. "${0%/*}/common.sh"

folder=$1
own_number=${WSDASH_ATTEMPT#*.}
own_number=${own_number%%.*}
grace_s=${WSDASH_TERMINATION_S:-90}

yield_to() {
  say "The newer attempt $1 of this workspace uses its folder: this job ends."
  exit 1
}

# Prints a line for each process of another job of the workspace: its id, its attempt's number, and the id of that job's script.
other_jobs() {
  grep -ls "WSDASH_WORKSPACE=$WSDASH_WORKSPACE" /proc/[0-9]*/environ 2>/dev/null | while read -r environ; do
    process=${environ%/environ}
    { tr '\0' '\n' <"$environ"; } 2>/dev/null | {
      workspace='' job='' server='' attempt='' main=0
      while IFS= read -r line; do
        case $line in
          WSDASH_WORKSPACE=*) workspace=${line#*=} ;;
          CI_JOB_ID=*) job=${line#*=} ;;
          CI_SERVER_URL=*) server=${line#*=} ;;
          WSDASH_ATTEMPT=*) attempt=${line#*=} ;;
          # The second one is of jobs of the previous version.
          WSDASH_JOB_PID=* | WSDASH_MAIN=*) main=${line#*=} ;;
        esac
      done
      [ "$workspace" = "$WSDASH_WORKSPACE" ] && [ "$server" = "${CI_SERVER_URL:-}" ] || exit 0
      [ -n "$job" ] && [ "$job" != "$CI_JOB_ID" ] || exit 0
      number=${attempt#*.}
      number=${number%%.*}
      case $number in '' | *[!0-9]*) number=0 ;; esac
      case $main in '' | *[!0-9]*) main=0 ;; esac
      echo "${process#/proc/} $number $main"
    }
  done
}

end_other_jobs() {
  found=$(other_jobs)
  [ -n "$found" ] || return 0
  newest=$(echo "$found" | sort -k 2,2n | tail -n 1 | cut -d ' ' -f 2)
  [ "$newest" -le "$own_number" ] || yield_to "$newest"
  say "A job of this workspace, attempt $newest, still runs on this host. It gets a signal to save its work and to end."
  # The job's script passes its signals on to its children, and ends last; if it is dead, job.sh saves. Other processes
  # of a job have nothing to save.
  signalled=
  for main in $(echo "$found" | cut -d ' ' -f 3 | sort -u); do
    if echo "$found" | grep -q "^$main "; then signalled="$signalled $main"; fi
  done
  if [ -z "$signalled" ]; then
    for process in $(echo "$found" | cut -d ' ' -f 1); do
      if { tr '\0' ' ' <"/proc/$process/cmdline"; } 2>/dev/null | grep -q '/job\.sh run '; then signalled="$signalled $process"; fi
    done
  fi
  # shellcheck disable=SC2086  # process ids
  [ -z "$signalled" ] || kill -TERM $signalled 2>/dev/null
  waited=0
  for process in $signalled; do
    while ! has_ended "$process" && [ "$waited" -lt "$grace_s" ]; do
      sleep 1
      waited=$((waited + 1))
    done
  done
  tries=0
  while [ -n "$found" ] && [ "$tries" -lt 20 ]; do
    echo "$found" | while read -r process _; do kill -KILL "$process" 2>/dev/null; done
    tries=$((tries + 1))
    pause 0.2
    found=$(other_jobs)
  done
  if [ -n "$found" ]; then
    say 'The other job cannot be ended, so this job does not touch its files. Another attempt follows.'
    exit 1
  fi
  say 'The other job has ended.'
}

take_lock() {
  command -v flock >/dev/null 2>&1 || return 0
  waited=0
  until flock -n 9; do
    holder=0
    read -r holder 2>/dev/null <"$folder/lock"
    case $holder in '' | *[!0-9]*) holder=0 ;; esac
    [ "$holder" -le "$own_number" ] || yield_to "$holder"
    [ "$waited" -ne 0 ] || say "Another job of this workspace uses its folder (attempt $holder). It is asked to save its work and to end."
    printf '%s\n' "$own_number" >"$folder/wanted"
    if [ "$waited" -ge "$((grace_s + grace_s))" ]; then
      say 'The other job does not end, so this job does not touch its files. Another attempt follows.'
      exit 1
    fi
    sleep 1
    waited=$((waited + 1))
  done
  printf '%s\n' "$own_number" >"$folder/lock"
  rm -f "$folder/wanted"
}

end_other_jobs
take_lock
