#!/bin/sh
# Settings and extensions that a Dev Container asks for, for each editor that is opened in the workspace.
#
#   sh customize_editor.sh settings           takes a JSON object from standard input, and writes it to where editors look
#   sh customize_editor.sh extensions         takes names from standard input, one a line
#   sh customize_editor.sh web KIND PROGRAM   before PROGRAM starts in the browser (KIND as in editor.sh): both for it
#   sh customize_editor.sh servers            extensions for servers of desktop editors, also one that is installed meanwhile
#
# VS Code's server reads data/Machine/settings.json of $VSCODE_AGENT_FOLDER, or else of the folder in HOME that
# serverDataFolderName of its product.json names; code-server the same file of its own data folder (server-main.js of
# code-server 4.96). Servers of desktop editors are where Remote-SSH, Cursor, Windsurf and VSCodium's Open Remote - SSH install
# them. Each of these programs takes --install-extension.
# What stands in a settings file already is the user's: only keys that it lacks are added, by python3 or node, where it is JSON
# without comments and the image has one of them.
# Environment: HOME, XDG_DATA_HOME, VSCODE_AGENT_FOLDER. What is remembered lies in $HOME/.config/wsdash.

# shellcheck source=/dev/null
. "${0%/*}/common.sh"

servers='.vscode-server .vscode-server-insiders .vscodium-server .cursor-server .windsurf-server'
kept=$HOME/.config/wsdash
wanted=$kept/editor-settings.json

merge() { # OURS THEIRS: prints both, where ours has keys that theirs has not
  if have python3; then
    python3 -c 'import json, sys
ours, theirs = (json.load(open(file, encoding="utf-8")) for file in sys.argv[1:])
if ours.keys() - theirs.keys():
    print(json.dumps({**ours, **theirs}, indent=4))' "$1" "$2"
  elif have node; then
    node -e 'const [ours, theirs] = process.argv.slice(1).map(file => JSON.parse(require("fs").readFileSync(file, "utf8")))
if (Object.keys(ours).some(key => !(key in theirs))) console.log(JSON.stringify({...ours, ...theirs}, null, 4))' "$1" "$2"
  fi
}

# write_settings FOLDER OURS BEFORE: BEFORE is what was written there last. A link of the user's stays one.
write_settings() {
  file=$1/settings.json
  mkdir -p "$1" || return
  if ! [ -e "$file" ] || { [ -e "$3" ] && [ "$(cat "$3")" = "$(cat "$file")" ]; }; then
    cat "$2" >"$file"
  elif merged=$(merge "$2" "$file" 2>/dev/null) && [ -n "$merged" ]; then
    printf '%s\n' "$merged" >"$file"
  fi
}

take_settings() {
  cat >"$kept/new" || return
  for server in $servers; do
    write_settings "$HOME/$server/data/Machine" "$kept/new" "$wanted"
  done
  [ ! -e "$kept/editor-folders" ] || while read -r folder; do
    write_settings "$folder" "$kept/new" "$wanted"
  done <"$kept/editor-folders"
  mv "$kept/new" "$wanted"
}

# install FOLDER PROGRAM: each extension that was not installed there before
install() {
  [ -e "$kept/editor-extensions" ] || return 0
  while read -r name; do
    grep -qxF "$1 $name" "$kept/editor-installed" 2>/dev/null ||
      { "$2" --install-extension "$name" </dev/null && printf '%s %s\n' "$1" "$name" >>"$kept/editor-installed"; }
  done <"$kept/editor-extensions" >>"$kept/editor-log" 2>&1
}

data_folder() { # PROGRAM: of a server of VS Code
  place=$(readlink -f "$(command -v "$1")")
  name=$(sed -n 's|.*"serverDataFolderName": *"\([^"/]*\)".*|\1|p' "${place%/bin/*}/product.json" 2>/dev/null | head -n 1)
  printf '%s\n' "${VSCODE_AGENT_FOLDER:-$HOME/${name:-.vscode-remote}}"
}

# A marketplace that does not answer keeps nobody out of the editor.
web() { # KIND PROGRAM
  if [ "$1" = code-server ]; then
    folder=${XDG_DATA_HOME:-$HOME/.local/share}/code-server machine=$folder/Machine
  else
    folder=$(data_folder "$2") machine=$folder/data/Machine
  fi
  if [ -e "$wanted" ]; then
    grep -qxF "$machine" "$kept/editor-folders" 2>/dev/null || printf '%s\n' "$machine" >>"$kept/editor-folders"
    write_settings "$machine" "$wanted" "$wanted"
  fi
  install "$folder" "$2" &
  waited=0
  until has_ended "$!" || [ "$waited" -ge 20 ]; do
    sleep 1
    waited=$((waited + 1))
  done
}

# A server is there some time after its editor has connected.
look_for_servers() {
  ! { read -r process <"$kept/editor-waiter" && ! has_ended "$process"; } 2>/dev/null || return 0
  printf '%s\n' "$$" >"$kept/editor-waiter"
  looks=0
  while [ "$looks" -lt 100 ]; do
    for server in $servers; do
      folder=$HOME/$server
      for program in "$folder"/bin/*/bin/*-server "$folder"/bin/*/*/bin/*-server "$folder"/cli/servers/*/server/bin/*-server; do
        [ ! -x "$program" ] || { install "$folder" "$program" && break; }
      done
    done
    sleep 3
    looks=$((looks + 1))
  done
}

case ${1:-} in
  settings) mkdir -p "$kept" && take_settings ;;
  extensions) mkdir -p "$kept" && cat >"$kept/editor-extensions" ;;
  web) [ ! -d "$kept" ] || { : >"$kept/editor-log" && web "$2" "$3"; } ;;
  servers) [ ! -e "$kept/editor-extensions" ] || look_for_servers ;;
  *) printf 'usage: sh customize_editor.sh settings|extensions|web|servers\n' >&2; exit 64 ;;
esac
