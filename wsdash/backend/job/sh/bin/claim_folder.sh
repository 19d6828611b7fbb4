# shellcheck shell=sh
# The first thing that a job on GitLab does, before it touches a file of its workspace: no other job works in its folder.
# It runs from the configuration itself, with the folder's lock open as 9, which the runner's shell keeps until the job ends.
#
# What runs on this host for another job of the workspace (a runner that was killed leaves its jobs alive) is told to end,
# saves, and is killed where it does not. What is in another container is not seen: the lock tells of it, and the file
# `wanted` tells it, with the next heartbeat, that a newer attempt waits. An older attempt gives way to a newer one.
# Environment: WSDASH_WORKSPACE, WSDASH_ATTEMPT, CI_JOB_ID, CI_SERVER_URL, WSDASH_ENDING_S (seconds for the other to end, 90). $1 is the
# workspace's folder.

# shellcheck source=/dev/null
. "${0%/*}/common.sh"

folder=$1
mine=${WSDASH_ATTEMPT#*.}
mine=${mine%%.*}
patience=${WSDASH_ENDING_S:-90}

give_way() {
  say "The newer attempt $1 of this workspace has its folder: this job ends."
  exit 1
}

# A line for each process of another job of the workspace: its id, its attempt's number, and the id of that job's script.
others() {
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
          WSDASH_MAIN=*) main=${line#*=} ;;
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

end_others() {
  found=$(others)
  [ -n "$found" ] || return 0
  newest=$(echo "$found" | sort -k 2,2n | tail -n 1 | cut -d ' ' -f 2)
  [ "$newest" -le "$mine" ] || give_way "$newest"
  say "A job of this workspace, attempt $newest, still runs on this host: it is told to save and to end."
  # The script of the job hands its end on to what it runs, and ends last; where it is gone, job.sh saves. All else that
  # is left of a job has nothing to save.
  told=
  for main in $(echo "$found" | cut -d ' ' -f 3 | sort -u); do
    if echo "$found" | grep -q "^$main "; then told="$told $main"; fi
  done
  if [ -z "$told" ]; then
    for process in $(echo "$found" | cut -d ' ' -f 1); do
      if { tr '\0' ' ' <"/proc/$process/cmdline"; } 2>/dev/null | grep -q '/job\.sh run '; then told="$told $process"; fi
    done
  fi
  # shellcheck disable=SC2086  # process ids
  [ -z "$told" ] || kill -TERM $told 2>/dev/null
  waited=0
  for process in $told; do
    while ! has_ended "$process" && [ "$waited" -lt "$patience" ]; do
      sleep 1
      waited=$((waited + 1))
    done
  done
  tries=0
  while [ -n "$found" ] && [ "$tries" -lt 20 ]; do
    echo "$found" | while read -r process _; do kill -KILL "$process" 2>/dev/null; done
    tries=$((tries + 1))
    pause 0.2
    found=$(others)
  done
  if [ -n "$found" ]; then
    say 'It cannot be ended, so this job does not touch its files. The next try follows.'
    exit 1
  fi
  say 'It has ended.'
}

take_lock() {
  command -v flock >/dev/null 2>&1 || return 0
  waited=0
  until flock -n 9; do
    holder=0
    read -r holder 2>/dev/null <"$folder/lock"
    case $holder in '' | *[!0-9]*) holder=0 ;; esac
    [ "$holder" -le "$mine" ] || give_way "$holder"
    [ "$waited" -ne 0 ] || say "Another job of this workspace has its folder (attempt $holder): it is told to save and to end."
    printf '%s\n' "$mine" >"$folder/wanted"
    if [ "$waited" -ge "$((patience + patience))" ]; then
      say 'It does not end, so this job does not touch its files. The next try follows.'
      exit 1
    fi
    sleep 1
    waited=$((waited + 1))
  done
  printf '%s\n' "$mine" >"$folder/lock"
  rm -f "$folder/wanted"
}

end_others
take_lock
