# shellcheck shell=sh disable=SC2154,SC2034
# Sourced by job.sh: the time of the last activity, as `active`, and the number of open sessions, as `shells`.
# `idle_minutes` counts from the time when the user last typed into a shell or used the editor.
# A shell leaves a file named by its process. A terminal knows when it was last read from; a session without one, such as
# a copy, counts as activity while it runs. code-server touches a file while it is used.
measure_activity() {
  # A setup mostly waits for the network, and must not be stopped: the idle time begins at its end.
  if [ -n "$setting_up" ]; then
    note_activity "$now"
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
    terminal=
    read -r stdin terminal 2>/dev/null <"$session"
    if [ "$stdin" = terminal ]; then
      note_change "${session##*/}" "$(read_at "/proc/${session##*/}/fd/0" || read_at "$terminal")" "$now"
    else
      note_activity "$now"
    fi
  done
  for name in ${WSDASH_KEEP_AWAKE:-}; do ! runs "$name" || note_activity "$now"; done
  measure_cpu
  measure_forwarding
  used=${HOME:-}/.local/share/code-server/heartbeat
  [ ! -e "$used" ] || note_change editor "$(written_at "$used")" 0
}

# runs NAME: whether a process has this name.
runs() {
  if [ -z "$has_proc" ]; then
    ps -A -o comm= 2>/dev/null | while read -r found; do [ "${found##*/}" != "$1" ] || exit 1; done && return 1
    return 0
  fi
  for comm in /proc/[0-9]*/comm; do
    read -r found 2>/dev/null <"$comm" && [ "$found" = "$1" ] && return 0
  done
  return 1
}

# A forwarded port has no session, so the bytes of its process are counted. Keep-alive messages are smaller.
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
        [ $((carried - ${before%% *})) -lt 4096 ] || note_activity "$now"
        ;;
    esac
    carriers="$carriers$connection=$carried "
  done
  carried_before=$carriers
}

# Adds the bytes of an SSH server's process and those below it to `carried`; fails if one of them is a session.
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

# A workspace that computes is not idle. In its own container all of its CPU time counts; otherwise, on a machine that others
# use too, that of the job's processes and those below them.
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
    # Processes whose parent has ended are children of the supervisor of a local job.
    add_ticks "${WSDASH_JOB_PID:-$PPID}"
  fi
  all=$used
  used=0
  # The checkpoints of a large repository take time, and are no work of the user's.
  for file in "${WSDASH_RUN:-/nowhere}/checkpoint/streamer" "${WSDASH_RUN:-/nowhere}/checkpoint/uploader"; do
    ! read -r helper _ 2>/dev/null <"$file" || add_ticks "$helper"
  done
  # In hundredths of a core. When one of these processes ends, its time becomes its parent's.
  if [ -n "${cpu_at:-}" ] && [ "$now" -gt "$cpu_at" ] && [ "$used" -ge "$cpu_own" ]; then
    [ $(((all - cpu_all - used + cpu_own) / (now - cpu_at))) -lt "$WSDASH_IDLE_CPU" ] || note_activity "$now"
  fi
  cpu_all=$all cpu_own=$used cpu_at=$now
}

# Adds the CPU time of a process, its reaped children, and all processes below it to `used`, in hundredths of a second:
# the kernel always reports these units (USER_HZ).
add_ticks() {
  stat_line=
  read -r stat_line 2>/dev/null <"/proc/$1/stat" || return 0
  below=
  read -r below 2>/dev/null <"/proc/$1/task/$1/children"
  # Its name may contain anything; the fields after it are numbers.
  # shellcheck disable=SC2086
  set -- ${stat_line##*) }
  shift 11
  used=$((used + $1 + $2 + $3 + $4))
  for child in $below; do add_ticks "$child"; done
}

# Times of files are on the machine's clock, which may be set meanwhile, so only that one has changed counts.
read_at() { # FILE
  stat -Lc %X "$1" 2>/dev/null || stat -Lf %a "$1" 2>/dev/null
}

written_at() { # FILE
  stat -c %Y "$1" 2>/dev/null || stat -f %m "$1" 2>/dev/null
}

# note_change NAME VALUE AT: activity now if the value is another one than at the last call, or is not known. The first call for
# a name is activity at AT.
noted=' '
note_change() {
  case $noted in
    *" $1="*)
      before=${noted#*" $1="}
      before=${before%% *}
      noted="${noted%%" $1="*} ${noted#*" $1=$before "}"
      [ -n "$2" ] && [ "$before" = "$2" ] || note_activity "$now"
      ;;
    *) note_activity "$3" ;;
  esac
  noted="$noted$1=$2 "
}

note_activity() {
  case $1 in '' | *[!0-9]*) return 0 ;; esac
  [ "$1" -le "$active" ] || active=$1
  [ "$active" -le "$now" ] || active=$now
}
