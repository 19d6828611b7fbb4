# shellcheck shell=sh disable=SC2034
# Sourced first by every script that is executed: functions that more than one of them uses.

say() {
  printf 'wsdash: %s\n' "$1"
}

have() {
  command -v "$1" >/dev/null 2>&1
}

# set_uptime: sets `uptime` to the seconds since the machine started, which do not jump when its clock is set; empty if the
# machine has neither Linux's /proc nor the `kern.boottime` of BSD and macOS, which moves with the clock.
set_uptime() {
  uptime=
  read -r uptime _ 2>/dev/null </proc/uptime
  uptime=${uptime%%.*}
  if [ -z "$uptime" ] && booted=$(sysctl -n kern.boottime 2>/dev/null); then
    # { sec = 1764570000, usec = 0 } Tue Dec  1 ...
    booted=${booted#*sec = } booted=${booted%%[!0-9]*}
    [ -z "$booted" ] || uptime=$(($(date +%s) - booted))
  fi
}

# set_now: sets `now` to the seconds since the epoch by the clock of the job: the machine's at the start of the job's first
# process (WSDASH_CLOCK), and from there on its uptime. So the difference of two times is a span, also after the machine's
# clock was set, and mostly no process is started.
set_now() {
  set_uptime
  if [ -z "$uptime" ]; then
    now=$(date +%s 2>/dev/null) || now=0
    return 0
  fi
  [ -n "${WSDASH_CLOCK:-}" ] || export WSDASH_CLOCK="$(($(date +%s 2>/dev/null || echo 0) - uptime))"
  now=$((WSDASH_CLOCK + uptime))
}

# pause SECONDS: a short sleep; some implementations of sleep accept no fraction.
pause() {
  sleep "$1" 2>/dev/null || sleep 1
}

# nap SECONDS: sleeps until then, or until a trap calls `on_wake`. The caller empties `woken` before it checks its conditions,
# so that a signal just before `wait` counts too.
woken=
nap_pid=
nap() {
  # A process that waits for the end of the job's output must not wait for a nap that missed its signal.
  sleep "$1" >/dev/null 2>&1 &
  nap_pid=$!
  [ -n "$woken" ] || wait "$nap_pid"
  kill "$nap_pid" 2>/dev/null
  nap_pid=
}

# shellcheck disable=SC2317,SC2329  # called by traps
on_wake() {
  woken=yes
  [ -z "$nap_pid" ] || kill "$nap_pid" 2>/dev/null
}

# Linux has /proc, unless a container hides it; BSD and macOS do not.
has_proc=
[ ! -r /proc/self/stat ] || has_proc=yes

has_ended() { # PID: a zombie has, too
  if [ -n "$has_proc" ]; then
    read -r stat_line 2>/dev/null <"/proc/$1/stat" || return 0
    case $stat_line in *') Z '*) return 0 ;; esac
    return 1
  fi
  kill -0 "$1" 2>/dev/null || return 0
  case $(ps -o stat= -p "$1" 2>/dev/null) in Z*) return 0 ;; esac
  return 1
}

# children_of PID: sets `children` to the processes that it has started. Some kernels list them only in the table of all.
children_of() {
  children=
  if [ -e "/proc/$1/task/$1/children" ]; then
    read -r children 2>/dev/null <"/proc/$1/task/$1/children"
    return 0
  fi
  children=$(ps -A -o pid= -o ppid= 2>/dev/null | while read -r child parent; do [ "$parent" != "$1" ] || printf '%s ' "$child"; done)
}

# device_of FILE: prints the number of its file system; empty without a usable `stat`.
device_of() {
  stat -c %d "$1" 2>/dev/null || stat -f %d "$1" 2>/dev/null
}

is_newer() { # NUMBER NUMBER: whether the first, ATTEMPT.COUNT, is
  [ "${1%.*}" -gt "${2%.*}" ] || { [ "${1%.*}" -eq "${2%.*}" ] && [ "${1#*.}" -gt "${2#*.}" ]; }
}

in_quotes() { # PATH: quotes it for '...' in a line of shell
  printf '%s' "$1" | sed "s/'/'\\\\''/g"
}

# Keeps the settings that the project, a group or the runner gives to every Git of the job (GIT_CONFIG_COUNT); ours come after
# them. Git refuses to run if one that is counted is missing.
keep_git_settings() {
  case ${GIT_CONFIG_COUNT:-} in '' | *[!0-9]* | ????*) GIT_CONFIG_COUNT=0 ;; esac
  given=$GIT_CONFIG_COUNT
  GIT_CONFIG_COUNT=0
  while [ "$GIT_CONFIG_COUNT" -lt "$given" ] &&
    eval "[ -n \"\${GIT_CONFIG_KEY_$GIT_CONFIG_COUNT:-}\" ] && [ -n \"\${GIT_CONFIG_VALUE_$GIT_CONFIG_COUNT+set}\" ]"; do
    GIT_CONFIG_COUNT=$((GIT_CONFIG_COUNT + 1))
  done
  [ "$GIT_CONFIG_COUNT" -eq "$given" ] ||
    say "GIT_CONFIG_COUNT is $given, but the setting $GIT_CONFIG_COUNT is not there: only those before it are used."
  export GIT_CONFIG_COUNT
}

# git_setting KEY VALUE: sets it for every Git of the job
git_setting() {
  export "GIT_CONFIG_KEY_${GIT_CONFIG_COUNT:=0}=$1" "GIT_CONFIG_VALUE_$GIT_CONFIG_COUNT=$2"
  export GIT_CONFIG_COUNT="$((GIT_CONFIG_COUNT + 1))"
}
