#!/bin/sh
# The user's terminal: a tmux session that outlives the connection, and whose layout, folders and scrollback outlive the job.
#
#   sh terminal.sh enter          attach to it; to a new one, or to the one that the previous job has saved
#   sh terminal.sh save           save its contents for the next job
#   sh terminal.sh pane NAME      the shell of a restored pane
#   sh terminal.sh end            end it with the job, and the sessions of session.sh
#
# Environment: that of the job; PROJECTS_ROOT, WSDASH_WORKSPACE. The saved files are in the state folder next to the
# projects: `windows` (tmux's layout, name and whether it is the active one), `panes`, and a file for each pane.

here=${0%/*}
kept=${PROJECTS_ROOT%/*}/state/terminal
lines=3000
session=wsdash

# A separate tmux server for the workspace, because a runner's jobs may share a machine.
workspace_tmux() {
  tmux -L "wsdash-$WSDASH_WORKSPACE" "$@"
}

enter() {
  if ! workspace_tmux has-session -t "=$session" 2>/dev/null && [ -f "$kept/windows" ]; then
    restore || workspace_tmux kill-session -t "=$session" 2>/dev/null
    rm -f "$kept/windows" "$kept/panes"
  fi
  exec tmux -L "wsdash-$WSDASH_WORKSPACE" new-session -A -s "$session"
}

save() {
  workspace_tmux has-session -t "=$session" 2>/dev/null || return 0
  rm -rf "$kept.new"
  mkdir -p "$kept.new" || return
  workspace_tmux list-windows -t "=$session" -F '#{window_layout} #{window_active} #{window_name}' >"$kept.new/windows" || return
  workspace_tmux list-panes -s -t "=$session" -F '#{window_index} #{pane_id} #{pane_active} #{pane_current_path}' >"$kept.new/panes" || return
  while read -r _ pane _; do
    # Without the empty lines below, which would scroll the output out of view.
    workspace_tmux capture-pane -p -e -S "-$lines" -t "$pane" | sed -e :a -e '/^\n*$/{$d;N;ba' -e '}' >"$kept.new/${pane#%}"
  done <"$kept.new/panes"
  rm -rf "$kept"
  mv "$kept.new" "$kept"
}

# The panes of one window are adjacent in the file, in the order of the windows.
restore() {
  window=
  before=
  active_window=
  exec 4<"$kept/windows"
  exec 3<"$kept/panes"
  while IFS=' ' read -r index pane active folder <&3; do
    [ -d "$folder" ] || folder=$PROJECTS_ROOT
    shell="exec sh '$here/terminal.sh' pane ${pane#%}"
    if [ "$index" != "$before" ]; then
      finish_window
      IFS=' ' read -r layout active_here name <&4 || return
      if [ -z "$before" ]; then
        window=$(workspace_tmux new-session -d -P -F '#{window_id}' -s "$session" -x 200 -y 60 -n "$name" -c "$folder" "$shell")
      else
        window=$(workspace_tmux new-window -d -P -F '#{window_id}' -t "=$session:" -n "$name" -c "$folder" "$shell")
      fi || return
      active_pane=
      before=$index
      [ "$active_here" != 1 ] || active_window=$window
      made=$(workspace_tmux list-panes -t "$window" -F '#{pane_id}')
    else
      made=$(workspace_tmux split-window -d -P -F '#{pane_id}' -t "$window" -c "$folder" "$shell") || return
      # Space for the next one.
      workspace_tmux select-layout -t "$window" tiled
    fi
    [ "$active" != 1 ] || active_pane=$made
  done
  finish_window
  exec 3<&- 4<&-
  [ -z "$active_window" ] || workspace_tmux select-window -t "$active_window"
}

finish_window() {
  [ -n "$window" ] || return 0
  workspace_tmux select-layout -t "$window" "$layout" 2>/dev/null
  [ -z "$active_pane" ] || workspace_tmux select-pane -t "$active_pane"
}

pane() {
  case $1 in '' | *[!0-9]*) exit 64 ;; esac
  if [ -f "$kept/$1" ]; then
    cat "$kept/$1"
    rm -f "$kept/$1"
    printf '\033[0m'
  fi
  WSDASH_START_DIR=$PWD
  export WSDASH_START_DIR
  exec sh "$here/job.sh" enter "$here/workload.sh"
}

case ${1:-} in
  enter) enter ;;
  save) save ;;
  pane) pane "${2:-}" ;;
  end)
    workspace_tmux kill-server 2>/dev/null
    tmux -L "wsdash-$WSDASH_WORKSPACE-sessions" kill-server 2>/dev/null
    ;;
  *) printf 'usage: sh terminal.sh enter|save|pane NAME|end\n' >&2; exit 64 ;;
esac
