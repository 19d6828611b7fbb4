#!/bin/sh
# Sessions: programs that run on in the workspace when nobody is connected, and their states.
#
#   sh session.sh start NAME [line=LINE resume=LINE folder=FOLDER profile=NAME quiet=SECONDS env=NAME waiting=RE working=RE]...
#                               without a line: the program of that name again, by its resume line
#   sh session.sh list          a line for each: wsdash-session|NAME|STATE|SECONDS|RULE|EVIDENCE|PROFILE|LINE
#   sh session.sh follow SECONDS   the same at each change, with an empty line after the last of them, for so long
#   sh session.sh attach NAME   on this terminal; F12 leaves it
#   sh session.sh screen NAME LINES   what its terminal shows, with colours, after so many lines of what scrolled out of it
#   sh session.sh send NAME TEXT [enter]
#   sh session.sh stop NAME     end it; start can start it again
#   sh session.sh remove NAME   end and forget it
#
# tmux has a server of their own for them, with a configuration of ours: the user's keys and settings are not in the way. Each
# is a window of its session `hub`, whose current window is empty, because tmux keeps no bell of a current window. What is to
# outlive the job is in the home folder, where programs keep their own state.
# Environment: that of `job.sh enter`; WSDASH_WORKSPACE.

here=${0%/*}
# shellcheck source=/dev/null
. "$here/common.sh"
# shellcheck source=/dev/null
. "$here/session_state.sh"
# shellcheck source=/dev/null
. "$here/session_facts.sh"
# shellcheck source=/dev/null
. "$here/session_start.sh"

sessions=$HOME/.local/state/wsdash/sessions
watch=$sessions/.watch
shown=

fail() {
  printf '%s\n' "$1" >&2
  exit "${2:-69}"
}

sessions_tmux() {
  env -u TMUX tmux -L "wsdash-$WSDASH_WORKSPACE-sessions" -f "$watch/tmux.conf" "$@"
}

check_name() {
  case ${1:-} in
    '' | .* | -* | hub | *[!A-Za-z0-9._-]*) fail "'$1' cannot be the name of a session: use letters, digits, dots and dashes." 64 ;;
  esac
  name=$1
}

has_window() { # NAME: whether tmux has it, ended or not
  sessions_tmux list-panes -s -t '=hub' -F '#{window_name} #{pane_dead}' 2>/dev/null | grep -qF -x -e "$1 0" -e "$1 1"
}

runs() { # NAME
  sessions_tmux list-panes -s -t '=hub' -F '#{window_name} #{pane_dead}' 2>/dev/null | grep -qFx "$1 0"
}

need_window() {
  check_name "${1:-}"
  has_window "$name" && return 0
  [ -d "$sessions/$name" ] || fail "There is no session $name."
  fail "The session $name does not run: start it first."
}

set_time() {
  set_uptime
  [ -n "$uptime" ] || uptime=$(date +%s)
}

# --- states -------------------------------------------------------------------------------------------

watch() {
  # One process watches: the last that has begun. The memory of an earlier one is true as long as its server runs.
  printf '%s\n' "$$" >"$watch/pid.$$" && mv "$watch/pid.$$" "$watch/pid"
  [ -f "$watch/memory" ] || : >"$watch/memory"
  while sessions_tmux has-session -t '=hub' 2>/dev/null; do
    read -r other <"$watch/pid" && [ "$other" = "$$" ] || exit 0
    look
    nap_s=5
    if [ -n "$(find "$watch/watched" -newer "$watch/facts" 2>/dev/null)" ] || awk -F '|' '$2 < 5 { found = 1 } END { exit !found }' "$watch/facts"; then
      nap_s=1
    fi
    sleep "$nap_s"
  done
}

look() {
  set_time
  gather_facts "$uptime" >"$watch/facts"
  decide_states "$uptime" "$watch/facts" "$watch/memory" >"$watch/memory.new" && mv "$watch/memory.new" "$watch/memory"
  # How a program ended outlives the job.
  while IFS='|' read -r name state _ why evidence _; do
    case $state in done | failed) [ -e "$sessions/$name/ended" ] || printf '%s|%s|%s\n' "$state" "$why" "$evidence" >"$sessions/$name/ended" ;; esac
  done <"$watch/memory"
}

# Prints the sessions as they are now. One without a window has ended with its job.
list() {
  set_time
  [ -d "$watch" ] || return 0
  sessions_tmux list-panes -s -t '=hub' -F '#{window_name}' >"$watch/windows" 2>/dev/null || : >"$watch/windows"
  for folder in "$sessions"/*/; do
    name=${folder%/}
    name=${name##*/}
    [ -f "$sessions/$name/line" ] || continue
    state=starting
    since=$uptime
    why=new
    evidence='it has just been started'
    if ! grep -qFx "$name" "$watch/windows"; then
      state=lost
      why=job
      evidence='its job has ended'
      [ ! -f "$sessions/$name/ended" ] || IFS='|' read -r state why evidence <"$sessions/$name/ended"
      [ ! -f "$sessions/$name/stopped" ] || { state=stopped; why=user; evidence='it was stopped'; }
    elif found=$(grep "^$name|" "$watch/memory" 2>/dev/null); then
      IFS='|' read -r _ state since why evidence _ <<LINE
$found
LINE
    fi
    profile=
    read -r profile 2>/dev/null <"$sessions/$name/profile"
    printf 'wsdash-session|%s|%s|%s|%s|%s|%s|%s\n' "$name" "$state" "$((uptime - since))" "$why" "$evidence" "$profile" \
      "$(head -n 1 "$sessions/$name/title" 2>/dev/null)"
  done
}

# The state's age changes all the time, and is left out when two lists are compared.
follow() { # SECONDS
  ends=$((${1:-60}))
  while [ "$ends" -gt 0 ]; do
    : >"$watch/watched" 2>/dev/null
    list >"$watch/list.$$"
    found=$(cut -d '|' -f 1-3,5,7- "$watch/list.$$")
    if [ "$found" != "$shown" ] || [ "$ends" = "$((${1:-60}))" ]; then
      cat "$watch/list.$$" || break
      echo || break
      shown=$found
    fi
    sleep 1
    ends=$((ends - 1))
  done
  rm -f "$watch/list.$$"
}

# --- what people do -----------------------------------------------------------------------------------

# Through a session of its own, so that the hub's current window stays the empty one. The window gets its size back.
attach() {
  use_known_terminal
  need_window "${1:-}"
  view=view-$$
  sessions_tmux new-session -t '=hub' -s "$view" \; set-option -t "$view" destroy-unattached on \; select-window -t "=$view:=$name"
  status=$?
  sessions_tmux resize-window -t "=hub:=$name" -x 200 -y 50 2>/dev/null && sessions_tmux set-option -wu -t "=hub:=$name" window-size 2>/dev/null
  return "$status"
}

# tmux refuses a terminal that the image does not know.
use_known_terminal() {
  for TERM in "${TERM:-dumb}" xterm-256color xterm; do
    for database in "$HOME/.terminfo" /etc/terminfo /lib/terminfo /usr/share/terminfo /usr/lib/terminfo; do
      [ ! -e "$database/$(printf '%s' "$TERM" | cut -c 1)/$TERM" ] || break 2
    done
  done
  export TERM
}

screen() { # NAME LINES
  need_window "${1:-}"
  : >"$watch/watched"
  case ${2:-0} in *[!0-9]*) fail "'$2' is no number of lines." 64 ;; esac
  sessions_tmux capture-pane -p -e -S "-${2:-0}" -t "=hub:=$name" | sed -e :a -e '/^\n*$/{$d;N;ba' -e '}'
}

send() { # NAME TEXT [enter]
  need_window "${1:-}"
  runs "$name" || fail "The session $name has ended."
  set_time
  printf '%s\n' "$uptime" >"$sessions/$name/sent"
  if [ -n "${2:-}" ]; then
    printf '%s' "$2" | sessions_tmux load-buffer -b "send-$$" - && sessions_tmux paste-buffer -d -p -r -b "send-$$" -t "=hub:=$name" || exit
  fi
  # Some programs take a line end that comes with a paste for a part of it.
  [ "${3:-}" != enter ] || { pause 0.2; sessions_tmux send-keys -t "=hub:=$name" Enter; }
}

stop() {
  check_name "${1:-}"
  [ -d "$sessions/$name" ] || fail "There is no session $name."
  : >"$sessions/$name/stopped"
  runs "$name" || { sessions_tmux kill-window -t "=hub:=$name" 2>/dev/null; return 0; }
  process=$(sessions_tmux display-message -p -t "=hub:=$name" '#{pane_pid}')
  kill -TERM "-$process" 2>/dev/null
  waited=0
  while runs "$name" && [ "$waited" -lt 50 ]; do
    pause 0.1
    waited=$((waited + 1))
  done
  sessions_tmux kill-window -t "=hub:=$name" 2>/dev/null
  ! kill -0 "-$process" 2>/dev/null || kill -KILL "-$process" 2>/dev/null
  return 0
}

verb=${1:-}
[ "$#" -eq 0 ] || shift
umask 077
[ "$verb" = list ] || [ "$verb" = follow ] || have tmux || fail "The workspace has no tmux, which keeps sessions: install tmux in its image."
case $verb in
  start) start "$@" ;;
  list) list ;;
  follow) follow "${1:-}" ;;
  attach) attach "${1:-}" ;;
  screen) screen "${1:-}" "${2:-}" ;;
  send) send "$@" ;;
  stop) stop "${1:-}" ;;
  remove) stop "${1:-}" && rm -rf "${sessions:?}/${name:?}" ;;
  watch) watch ;;
  *) fail 'usage: sh session.sh start|list|follow|attach|screen|send|stop|remove ...' 64 ;;
esac
