# shellcheck shell=sh disable=SC2154
# Sourced by session.sh: starts a program in a window of its own, with the workspace's environment and no other.

# What a program of the workspace may know of its job: no token, no password, no variable of the project.
known_names() {
  echo PATH HOME USER LOGNAME SHELL LANG TZ TMPDIR PROJECTS_ROOT PROJECT_SOURCE GIT_SSL_CAINFO SSL_CERT_FILE SSL_CERT_DIR
  echo http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY
  echo CI CI_SERVER_URL CI_SERVER_HOST CI_API_V4_URL CI_PROJECT_ID CI_PROJECT_PATH CI_PROJECT_URL CI_DEFAULT_BRANCH
  echo WSDASH_WORKSPACE WSDASH_SCRIPTS WSDASH_RUN WSDASH_CREDENTIALS WSDASH_JOB_PID
  env | sed -n -e 's/^\(LC_[A-Z]*\)=.*/\1/p' -e 's/^\(GIT_CONFIG_[A-Z0-9_]*\)=.*/\1/p'
  # The workload's own variables and secrets.
  sed -n -e '/^environment() {$/,/^}$/s/^  export \([A-Za-z_][A-Za-z0-9_]*\)=.*/\1/p' \
    -e "/^secrets() {\$/,/^}\$/s/^  expect '*\([A-Za-z_][A-Za-z0-9_]*\)'*\$/\1/p" "$WSDASH_SCRIPTS/workload.sh" 2>/dev/null
  [ ! -f "$sessions/$1/env" ] || cat "$sessions/$1/env"
}

# Writes the environment as a file of shell that only this user can read.
write_environment() { # NAME
  for variable in $(known_names "$1"); do
    case $variable in [0-9]* | *[!A-Za-z0-9_]*) continue ;; esac
    eval "[ -n \"\${$variable+set}\" ]" || continue
    eval "value=\$$variable."
    value=$(in_quotes "$value")
    printf "export %s='%s'\n" "$variable" "${value%.}"
  done
}

write_record() { # NAME KEY=VALUE...
  folder=$sessions/$1
  rm -rf "${folder:?}"
  mkdir -p "$folder"
  shift
  for word in "$@"; do
    value=${word#*=}
    case $word in
      line=* | resume=* | folder=* | profile=* | quiet=* | title=*) printf '%s\n' "$value" >"$folder/${word%%=*}" ;;
      env=*) printf '%s\n' "$value" >>"$folder/env" ;;
      waiting=* | working=*) printf '%s %s\n' "${word%%=*}" "$value" >>"$folder/patterns" ;;
    esac
  done
}

start() { # NAME [KEY=VALUE...]
  check_name "${1:-}"
  shift
  ! runs "$name" || fail "The session $name runs already: \`stop\` ends it."
  if [ "$#" -gt 0 ]; then
    line=line
    write_record "$name" "$@"
  else
    [ -f "$sessions/$name/line" ] || fail "There is no session $name."
    line=resume
    [ -s "$sessions/$name/resume" ] || line=line
  fi
  rm -f "$sessions/$name/stopped" "$sessions/$name/ended" "$sessions/$name/code" "$sessions/$name/report" "$sessions/$name/sent"
  start_server || fail "tmux does not start: $(tail -n 1 "$watch/errors")"
  folder=
  IFS= read -r folder 2>/dev/null <"$sessions/$name/folder"
  case $folder in /*) ;; *) folder=$PROJECT_SOURCE${folder:+/$folder} ;; esac
  [ -d "$folder" ] || fail "There is no folder $folder in the workspace."
  {
    write_environment "$name"
    printf "export WSDASH_SESSION='%s' WSDASH_SESSION_DIR='%s' PATH='%s'\n" "$name" "$(in_quotes "$sessions/$name")" \
      "$(in_quotes "$watch/bin:$PATH")"
    # shellcheck disable=SC2016
    echo 'rm -f "$0"'
    printf 'sh -c %s\n' "'$(in_quotes "$(cat "$sessions/$name/$line")")'"
    # tmux does not always know it.
    # shellcheck disable=SC2016
    printf 'code=$?\necho "$code" >"$WSDASH_SESSION_DIR/code"\nexit "$code"\n'
  } >"$watch/run-$name"
  sessions_tmux kill-window -t "=hub:=$name" 2>/dev/null
  sessions_tmux new-window -d -t '=hub:' -n "$name" -c "$folder" "exec sh '$(in_quotes "$watch/run-$name")'" 2>"$watch/errors" ||
    fail "tmux does not start it: $(tail -n 1 "$watch/errors")"
  end_watcher
  (setsid sh "$watch/session.sh" watch </dev/null >/dev/null 2>&1 &)
}

# The next one looks at the new session at once.
end_watcher() {
  read -r watcher 2>/dev/null <"$watch/pid" && ! has_ended "$watcher" &&
    grep -qF session.sh "/proc/$watcher/cmdline" 2>/dev/null && kill "$watcher" 2>/dev/null
}

# The server's own environment is that of no user: only what tmux itself needs.
start_server() {
  mkdir -p "$watch/bin"
  write_helpers
  sessions_tmux has-session -t '=hub' 2>/dev/null && return 0
  end_watcher
  rm -f "$watch/memory" "$watch/before"
  env -i PATH="$PATH" HOME="$HOME" SHELL=/bin/sh LANG="${LANG:-C.UTF-8}" ${TMUX_TMPDIR:+TMUX_TMPDIR="$TMUX_TMPDIR"} \
    tmux -L "wsdash-$WSDASH_WORKSPACE-sessions" -f "$watch/tmux.conf" \
    new-session -d -s hub -n hub -x 200 -y 50 'exec sleep 2147483647' 2>"$watch/errors"
}

write_helpers() {
  cat >"$watch/tmux.conf" <<'CONF'
set -g default-terminal screen-256color
set -g default-shell /bin/sh
set -g remain-on-exit on
set -g history-limit 20000
set -g mouse on
set -g allow-rename off
set -g automatic-rename off
set -g set-clipboard external
set -g focus-events on
set -s escape-time 10
set -g window-size latest
set -g status-left ''
set -g status-right 'F12 leaves the session '
set -g window-status-format ''
set -g window-status-current-format ' #W '
bind -T root F12 detach-client
CONF
  cat >"$watch/bin/wsdash-state" <<'STATE'
#!/bin/sh
# wsdash-state working|waiting|idle: tells the state of the session that this runs in. It never fails, so that it can be a hook.
{
  read -r uptime _ </proc/uptime
  printf '%s %s\n' "${uptime%%.*}" "$1" >"$WSDASH_SESSION_DIR/report.new" && mv "$WSDASH_SESSION_DIR/report.new" "$WSDASH_SESSION_DIR/report"
} 2>/dev/null
exit 0
STATE
  chmod 700 "$watch/bin/wsdash-state"
}
