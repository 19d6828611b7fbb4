#!/bin/sh
# The editor in the browser, on a socket of the job's own user: starts when the user opens it, and ends with the job.
#
#   sh editor.sh      starts it unless it runs, and prints one line: wsdash-editor KIND TOKEN SOCKET
#
# In this order: GitLab's fork of VS Code, if a service has copied it; openvscode-server; code-server.
# Environment: PROJECT_SOURCE, WSDASH_RUN (the folder of a CI job; none), TMPDIR. Messages go to standard error.

here=${0%/*}
# shellcheck source=/dev/null
. "$here/common.sh"

complain() {
  printf '%s\n' "$1" >&2
}

# KIND is the program whose options it accepts: `vscode` or `code-server`.
find_editor() {
  tools=
  [ -z "${WSDASH_RUN:-}" ] || read -r tools 2>/dev/null <"$WSDASH_RUN/editor"
  if [ -n "$tools" ] && [ -x "$tools/vscode-reh-web/bin/gitlab-webide-server" ]; then
    kind=vscode program=$tools/vscode-reh-web/bin/gitlab-webide-server
  elif have openvscode-server; then
    kind=vscode program=openvscode-server
  elif have code-server; then
    kind=code-server program=code-server
  else
    complain 'The workspace has no editor: neither code-server nor openvscode-server is on the PATH, and no service brought one.'
    return 1
  fi
}

# The path of a socket may have about a hundred characters, and a project's folder may be longer.
choose_folder() {
  folder=${TMPDIR:-/tmp}/editor
  if [ -n "${WSDASH_RUN:-}" ]; then
    folder=
    read -r folder 2>/dev/null <"$WSDASH_RUN/editor-folder"
    if ! [ -d "$folder" ]; then
      folder=$(mktemp -d /tmp/wsdash-XXXXXXXX) && printf '%s\n' "$folder" >"$WSDASH_RUN/editor-folder"
    fi
  fi
  mkdir -p "$folder" && chmod 700 "$folder"
}

is_running() {
  read -r process 2>/dev/null <"$folder/process" && ! has_ended "$process" || return 1
  [ -S "$folder/socket" ]
}

start() {
  rm -f "$folder/socket"
  place=$folder short=
  if [ "${#folder}" -gt 90 ]; then
    short=$(mktemp -d /tmp/wsdash-XXXXXXXX) && ln -s "$folder" "$short/here" && place=$short/here
  fi
  od -An -N16 -tx1 /dev/urandom | tr -d ' \n' >"$folder/token"
  if [ "$kind" = vscode ]; then
    set -- --socket-path "$place/socket" --connection-token-file "$folder/token" --telemetry-level off \
      --disable-workspace-trust --accept-server-license-terms --default-folder "$PROJECT_SOURCE"
  else
    printf 'auth: password\npassword: %s\n' "$(cat "$folder/token")" >"$folder/config.yaml"
    set -- --config "$folder/config.yaml" --socket "$place/socket" --socket-mode 600 --disable-telemetry \
      --disable-update-check --disable-workspace-trust "$PROJECT_SOURCE"
  fi
  nohup "$program" "$@" >"$folder/log" 2>&1 </dev/null &
  process=$!
  printf '%s\n' "$process" >"$folder/process"
  waited=0
  while ! [ -S "$folder/socket" ]; do
    if ! kill -0 "$process" 2>/dev/null || [ "$waited" -ge 60 ]; then
      complain "The editor $program does not start: $(tail -n 1 "$folder/log")"
      return 1
    fi
    sleep 1
    waited=$((waited + 1))
  done
  [ -z "$short" ] || rm -rf "$short"
}

umask 077
find_editor && choose_folder || exit 69
is_running || { sh "$here/customize_editor.sh" web "$kind" "$program" </dev/null >/dev/null 2>&1; start; } || exit 70
printf 'wsdash-editor %s %s %s\n' "$kind" "$(cat "$folder/token")" "$folder/socket"
