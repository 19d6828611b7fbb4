# shellcheck shell=sh disable=SC2154
# Sourced by session.sh: the facts about each session's program, from tmux and /proc, for session_state.sh.

# The numbers of the system calls read(), and poll() and ppoll().
case $(uname -m) in
  x86_64) read_call=0 poll_calls=' 7 271 ' ;;
  i?86 | arm*) read_call=3 poll_calls=' 168 309 336 ' ;;
  aarch64 | riscv64 | loongarch64) read_call=63 poll_calls=' 73 ' ;;
  *) read_call="" poll_calls="" ;;
esac

# Prints the facts of each session's window, and keeps in $watch what the next look compares with.
gather_facts() { # UPTIME
  sessions_tmux list-panes -s -t '=hub' -F \
    "#{window_name}|#{pane_pid}|#{pane_tty}|#{window_activity}|#{window_bell_flag}|#{pane_dead}|#{pane_dead_status}|#{pane_dead_signal}" \
    2>/dev/null | grep -v '^hub|' >"$watch/panes"
  sessions_tmux list-clients -F "#{window_name}|#{client_activity}" 2>/dev/null >"$watch/clients"
  [ -f "$watch/before" ] || : >"$watch/before"
  { cat "$watch/panes"; echo; cat /proc/[0-9]*/stat 2>/dev/null; } | foreground "$1" >"$watch/foreground"
  mv "$watch/now" "$watch/before"
  while IFS='|' read -r name age bell dead code signal shell tty typed cpu members; do
    raw=
    reads=
    if [ "$dead" = 1 ]; then
      [ -n "$signal" ] || read -r code 2>/dev/null <"$sessions/$name/code"
    else
      look_at_terminal
    fi
    report=
    reported=
    [ ! -f "$sessions/$name/report" ] || read_report "$1"
    match=
    [ "$dead" = 1 ] || [ ! -f "$sessions/$name/patterns" ] || match=$(match_screen)
    quiet=3
    ! read -r given 2>/dev/null <"$sessions/$name/quiet" || quiet=$given
    if [ -f "$sessions/$name/sent" ]; then
      read -r sent <"$sessions/$name/sent"
      sent=$(($1 - sent))
      [ -n "$typed" ] && [ "$typed" -lt "$sent" ] || typed=$sent
    fi
    printf '%s|' "$name" "$age" "$bell" "$dead" "$code" "$signal" "$shell" "$raw" "$reads" "$cpu" "$quiet" "$match" "$report" "$reported"
    printf '%s\n' "$typed"
  done <"$watch/foreground"
}

# From the panes, an empty line and the processes: NAME AGE BELL DEAD CODE SIGNAL SHELL TTY TYPED CPU MEMBERS. The time of a change
# is that of the first look that saw it, because the clock may be set: tmux tells times by the clock.
foreground() { # UPTIME
  awk -F '|' -v OFS='|' -v up="$1" -v memory="$watch/before" -v clients="$watch/clients" -v now="$(date +%s)" -v next_memory="$watch/now" '
    BEGIN {
      while ((getline line <memory) > 0) {
        split(line, part, "|")
        activity[part[1]] = part[2]; seen[part[1]] = part[3]; ticks[part[1]] = part[4]; looked = part[5]; typed[part[1]] = part[6]; typed_at[part[1]] = part[7]
      }
      while ((getline line <clients) > 0) { split(line, part, "|"); if (part[2] > client[part[1]]) client[part[1]] = part[2] }
      is_pane = 1
    }
    is_pane && $0 == "" { is_pane = 0; next }
    is_pane { pane[++count] = $0; of[$2] = count; next }
    {
      id = $0 + 0
      rest = $0
      if (!sub(/.*\) /, "", rest)) next
      split(rest, field, " ")
      comm = substr($0, index($0, "(") + 1, length($0) - length(rest) - index($0, "(") - 2)
      group[id] = field[3]; used[field[3]] += field[12] + field[13]; members[field[3]] = members[field[3]] " " id; size[field[3]]++; shells[field[3]] += comm ~ /^-?(sh|bash|zsh|dash|ash|ksh|fish|busybox)$/
      if (id in of) front[of[id]] = field[6]
    }
    END {
      printf "" >next_memory
      for (i = 1; i <= count; i++) {
        split(pane[i], p, "|")
        name = p[1]
        age = now - p[4]
        if (name in activity) at = activity[name] == p[4] ? seen[name] : up
        else at = up - (age < 0 || age > up ? 0 : age)
        g = front[i]
        cpu = ""
        if (g != "" && ticks[name] != "" && up > looked) { cpu = int((used[g] - ticks[name]) / (up - looked)); if (cpu < 0) cpu = 0 }
        if (client[name] != "" && client[name] != typed[name]) { typed[name] = client[name]; typed_at[name] = up }
        print name, p[4], at, used[g], up, typed[name], typed_at[name] >next_memory
        print name, up - at, p[5], p[6], p[7], p[8], (g != "" && size[g] == shells[g]), p[3], (typed_at[name] == "" ? "" : up - typed_at[name]), cpu, substr(members[g], 2)
      }
    }'
}

# Sets `raw` and `reads` for the session's `tty` and `members`.
look_at_terminal() {
  case $(stty -a 2>/dev/null <"$tty") in
    *-icanon*) raw=1 ;;
    *icanon*) raw=0 ;;
  esac
  for member in $members; do
    call=
    where=
    if [ -n "$read_call" ] && read -r call where _ 2>/dev/null <"/proc/$member/syscall"; then
      # A shell polls for nothing but its terminal: busybox's `read` does.
      case $poll_calls in *" $call "*) [ "$raw$shell" != 01 ] || reads=1 ;; esac
      [ "$call" = "$read_call" ] || continue
      case $(readlink "/proc/$member/fd/$((where))") in "$tty" | /dev/tty) reads=1 ;; esac
    else
      # Some systems hide the call of another process, but tell where it sleeps.
      read -r where 2>/dev/null <"/proc/$member/wchan"
      case $where in wait_woken | n_tty_read) [ "$raw" != 0 ] || reads=1 ;; esac
    fi
  done
}

# Sets `report` and `reported` from the file that wsdash-state writes: UPTIME STATE.
read_report() { # UPTIME
  read -r at report _ <"$sessions/$name/report"
  case $at in '' | *[!0-9]*) report= ;; *) reported=$(($1 - at)) ;; esac
  case $report in working | waiting | idle) ;; *) report='' reported='' ;; esac
}

# Prints which patterns of the profile fit the last twelve lines with text: those of `working` go first.
match_screen() {
  sessions_tmux capture-pane -p -t "=hub:=$name" 2>/dev/null | grep '[^[:space:]]' | tail -n 12 >"$watch/screen"
  for kind in working waiting; do
    sed -n "s/^$kind //p" "$sessions/$name/patterns" >"$watch/wanted"
    if [ -s "$watch/wanted" ] && grep -qE -f "$watch/wanted" "$watch/screen" 2>/dev/null; then
      echo "$kind"
      return
    fi
  done
}
