# shellcheck shell=sh disable=SC2154,SC2034
# Sourced by unsaved.sh and save_work.sh, the first of three: finds the repositories below the projects folder, and makes a
# separate repository for each, in which Git works.

caches='.cache node_modules __pycache__ .venv .tox .mypy_cache .pytest_cache .ruff_cache .gradle'
most_repositories=500
most_lines=100
soh=$(printf '\001')
tab=$(printf '\t')

# The environment does not change how Git works.
set_surroundings() {
  for name in $(env | sed -n 's/^\(GIT_[A-Za-z0-9_]*\)=.*/\1/p'); do unset "$name"; done
  real_home=${HOME:-}
  real_settings=${XDG_CONFIG_HOME:-$real_home/.config}/git
  unset CDPATH XDG_CONFIG_HOME
  scratch=$(mktemp -d "${TMPDIR:-/tmp}/wsdash-unsaved.XXXXXX") || return
  trap 'rm -rf "$scratch"' EXIT
  trap 'exit 1' HUP INT TERM PIPE
  mkdir "$scratch/home" "$scratch/unit" || return
  export HOME="$scratch/home" LC_ALL=C GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1 GIT_ATTR_NOSYSTEM=1 \
    GIT_NO_REPLACE_OBJECTS=1 GIT_NO_LAZY_FETCH=1 GIT_ALLOW_PROTOCOL=none GIT_TERMINAL_PROMPT=0 GIT_PAGER=cat \
    GIT_AUTHOR_NAME=wsdash GIT_AUTHOR_EMAIL=wsdash GIT_AUTHOR_DATE='@0 +0000' \
    GIT_COMMITTER_NAME=wsdash GIT_COMMITTER_EMAIL=wsdash GIT_COMMITTER_DATE='@0 +0000'
}

# Prints names that end with NUL, one a line.
lines() {
  tr '\000\012' '\012\001'
}

decoded() { # LINE: into `value`
  value=$(printf '%sx' "$1" | tr '\001' '\012')
  value=${value%x}
}

encoded() { # PATH
  printf '%s' "$1" | tr '\012' '\001'
}

# Quotes a path for a file of alternates.
quoted() { # PATH
  printf '"%s"\n' "$(encoded "$1" | sed "s/[\\\\\"]/\\\\&/g; s/$soh/\\\\n/g")"
}

stored() { # FILE: its whole content into `value`
  value=$(cat "$1" && printf x)
  value=${value%x}
}

problem() {
  printf 'problem %s\n' "$(encoded "$1" | cut -c 1-400)"
}

# Escapes a name for `find -path`, so that it is not used as a pattern.
escaped() {
  value=$(printf '%sx' "$1" | sed 's/[][*?\\]/\\&/g')
  value=${value%x}
}

# --- where the repositories are -------------------------------------------------------------------------

# Each is a folder unit/N: `path` (below the root) of the working tree, `git` and `common`, its folders.
find_repositories() {
  count=0
  : >"$scratch/gits"
  find . \( -path ./.wsdash -o -path ./.wsdash-fetch \) -prune -o -name .git -prune -print0 2>/dev/null | lines >"$scratch/found"
  # Folders before files: the main working tree represents all that its linked ones share. Bare repositories come last.
  for wanted in folder file bare; do
    while IFS= read -r line; do
      decoded "${line%/.git}"
      path=${value#.}
      path=${path#/}
      add_named
    done <"$scratch/found"
  done
  # Git folders without a working tree: submodules of another branch, bare repositories.
  known=$count
  nth=0
  while [ "$nth" -lt "$known" ]; do
    nth=$((nth + 1))
    stored "$scratch/unit/$nth/common"
    find "$value" -name objects -prune -print0 2>/dev/null | lines >"$scratch/objects"
    while IFS= read -r line; do
      decoded "${line%/objects}"
      [ ! -d "$value/refs" ] || add_repository '' "$value" found
    done <"$scratch/objects"
  done
}

# Adds the repository of ./$path/.git, if it is one of $wanted.
add_named() {
  if [ -d "./$path/.git" ]; then
    [ "$wanted" != file ] || return 0
    git_folder=./$path/.git
  else
    [ "$wanted" != folder ] && [ -f "./$path/.git" ] && git_folder=$(named_by "./$path/.git") || return 0
  fi
  add_repository "$path" "$git_folder" "$wanted" || [ "$wanted" = bare ] || [ ! -d "$git_folder/objects" ] ||
    problem "${path:-.} holds a damaged repository, which cannot be looked into"
}

# Prints the Git folder that a .git file names.
named_by() { # FILE
  line=$(head -n 1 "$1" | cut -c 1-4096)
  case $line in
    'gitdir: /'*) printf '%s' "${line#gitdir: }" ;;
    'gitdir: '*) printf '%s' "${1%/*}/${line#gitdir: }" ;;
    *) return 1 ;;
  esac
}

# Sets `folder` and `common`, which a linked working tree shares with others; fails if it is not a repository's.
enter_git_folder() { # GIT_FOLDER
  folder=$(cd -P -- "$1" 2>/dev/null && pwd -P && printf x) || return
  folder=${folder%"
x"}
  common=$folder
  if [ -f "$folder/commondir" ]; then
    IFS= read -r common <"$folder/commondir"
    case $common in /*) ;; *) common=$folder/$common ;; esac
    common=$(cd -P -- "$common" 2>/dev/null && pwd -P && printf x) || return
    common=${common%"
x"}
  fi
  [ -f "$folder/HEAD" ] && [ -d "$common/objects" ] && [ -d "$common/refs" ]
}

add_repository() { # PATH GIT_FOLDER folder|file|bare|found: whether it is one
  enter_git_folder "$2" || return
  case $3 in
    folder | file) has_tree || return 0 ;;
    bare) ! has_tree || return 0 ;;
  esac
  line=$(encoded "$folder")
  [ "$3" != found ] || ! grep -qxF -e "$line" "$scratch/gits" || return 0
  printf '%s\n' "$line" >>"$scratch/gits"
  count=$((count + 1))
  if [ "$count" -gt "$most_repositories" ]; then
    [ "$count" -gt $((most_repositories + 1)) ] || problem "there are more than $most_repositories repositories"
    return 0
  fi
  mkdir "$scratch/unit/$count"
  printf '%s' "$1" >"$scratch/unit/$count/path"
  printf '%s' "$folder" >"$scratch/unit/$count/git"
  printf '%s' "$common" >"$scratch/unit/$count/common"
  case $3 in
    folder | file) : >"$scratch/unit/$count/has-tree" ;;
    bare) : >"$scratch/unit/$count/is-named" ;;
  esac
}

# A linked working tree is one whatever core.bare says of those that share it, and a repository with an index has one too.
has_tree() {
  [ "$folder" != "$common" ] || [ -f "$folder/index" ] || [ "$(setting "$common" bool core.bare)" != true ]
}

# Prints a setting of the repository's own configuration. Files that it includes are not read.
setting() { # COMMON TYPE KEY
  [ -f "$1/config" ] && (cd "$scratch" && git config --file "$1/config" --type="$2" --get "$3" 2>/dev/null)
}

# --- a separate repository ------------------------------------------------------------------------------

load_unit() { # NUMBER
  unit=$scratch/unit/$1
  stored "$unit/path"
  path=$value
  stored "$unit/git"
  git_folder=$value
  stored "$unit/common"
  common=$value
  tree=
  [ ! -e "$unit/has-tree" ] || tree=$root/$path
  S=$unit/shadow
  where=$path
  [ -n "$tree" ] || where=${git_folder#"$root/"}
}

# Makes $S for the unit: `path`, `tree` (its working tree, or nothing), `git_folder`, `common`.
# Fails if that is impossible, and reports the reason.
open_unit() { # NUMBER
  load_unit "$1"
  have git || { problem "${where:-.} cannot be looked into: there is no git"; return 1; }
  odd=
  [ -z "$tree" ] || odd=$(find "$tree" \( -name .gitignore -o -name .gitattributes -o -name .gitmodules \) ! -type f ! -type d ! -type l -print 2>/dev/null | head -n 1)
  [ -z "$odd" ] || { problem "${where:-.} cannot be looked into: ${odd#"$root/"} is no ordinary file"; return 1; }
  mkdir -p "$S/objects/info" "$S/info" "$S/refs" || return
  quoted "$common/objects" >"$S/objects/info/alternates"
  cp -R -P "$common/refs/." "$S/refs/" 2>/dev/null
  [ "$git_folder" = "$common" ] || [ ! -d "$git_folder/refs" ] || cp -R -P "$git_folder/refs/." "$S/refs/" 2>/dev/null
  odd=$(find "$S/refs" ! -type f ! -type d -print 2>/dev/null | head -n 1)
  [ -z "$odd" ] || { problem "${where:-.} cannot be looked into: ${odd#"$S/"} is no ordinary file"; return 1; }
  for name in packed-refs shallow; do [ ! -f "$common/$name" ] || cp "$common/$name" "$S/$name"; done
  [ ! -d "$common/reftable" ] || cp -R -P "$common/reftable" "$S/"
  cp "$git_folder/HEAD" "$S/HEAD"
  [ ! -f "$common/info/exclude" ] || cp "$common/info/exclude" "$S/info/exclude"
  [ ! -f "$common/info/attributes" ] || cp "$common/info/attributes" "$S/attributes.git"
  echo '* -text -filter -ident -working-tree-encoding' >"$S/attributes.bytes"
  compare_as git
  format=$(setting "$common" path extensions.objectformat) || format=sha1
  storage=$(setting "$common" path extensions.refstorage) || storage=files
  filemode=$(setting "$common" bool core.filemode) || filemode=true
  {
    printf '[core]\n\tbare = false\n\tlogAllRefUpdates = false\n\tuntrackedCache = false\n\tfilemode = %s\n' "$filemode"
    if [ "$format$storage" = sha1files ]; then
      printf '\trepositoryformatversion = 0\n'
    else
      printf '\trepositoryformatversion = 1\n[extensions]\n\tobjectformat = %s\n' "${format%%[!a-z0-9]*}"
      [ "$storage" = files ] || printf '\trefstorage = %s\n' "${storage%%[!a-z0-9]*}"
    fi
  } >"$S/config"
  copy_conversions
  copy_index
  shadow_git rev-parse --git-dir >/dev/null 2>"$scratch/errors" || { problem "${where:-.} cannot be looked into: $(tail -n 1 "$scratch/errors")"; return 1; }
}

# compare_as MODE: how files are compared from now on:
#   git    with Git's built-in conversions, as the repository's attributes and configuration ask: line ends, encoding, $Id$.
#          They run no program. A filter would, so none is configured here: a file with a filter counts as changed if its
#          times differ from those in the index, because only the filter could show that it is unchanged.
#   bytes  without conversion
compare_as() { # git|bytes
  if [ -f "$S/attributes.$1" ]; then cp "$S/attributes.$1" "$S/info/attributes"; else : >"$S/info/attributes"; fi
}

# Reads the settings by which Git converts files: the machine's, the user's, the repository's. Included files are not read.
copy_conversions() {
  set -- /etc/gitconfig "$real_settings/config" "$real_home/.gitconfig" "$common/config"
  [ "$(setting "$common" bool extensions.worktreeconfig)" != true ] || set -- "$@" "$git_folder/config.worktree"
  autocrlf=false
  eol=native
  attributes=$real_settings/attributes
  for file in "$@"; do
    [ -f "$file" ] || continue
    ! value=$(converting --get core.autocrlf) || case $(printf '%s' "$value" | tr '[:upper:]' '[:lower:]') in
      '' | true | yes | on | 1) autocrlf=true ;;
      input) autocrlf=input ;;
      *) autocrlf=false ;;
    esac
    ! value=$(converting --get core.eol) || case $(printf '%s' "$value" | tr '[:upper:]' '[:lower:]') in
      lf | crlf) eol=$value ;;
      *) eol=native ;;
    esac
    ! value=$(converting --type=path --get core.attributesfile) || attributes=$value
  done
  printf '[core]\n\tautocrlf = %s\n\teol = %s\n\tsafecrlf = false\n' "$autocrlf" "$eol" >>"$S/config"
  case $attributes in /*) ;; *) attributes= ;; esac
  [ ! -f "$attributes" ] || [ ! -r "$attributes" ] || cp "$attributes" "$S/attributes.user"
  (cd "$scratch" && git config --file "$S/config" core.attributesFile "$S/attributes.user")
}

converting() { # ARGUMENT...: of the settings in `file`
  (cd "$scratch" && HOME=$real_home git config --file "$file" "$@" 2>/dev/null)
}

# Copies the index with its times, which save reading unchanged files and show which may have changed since.
copy_index() {
  [ -n "$tree" ] && [ -f "$git_folder/index" ] || return 0
  cp -p "$git_folder/index" "$S/index"
  for shared in "$git_folder"/sharedindex.*; do [ ! -f "$shared" ] || cp -p "$shared" "$S/"; done
  clear_index_flags
  return 0
}

# A file with a flag that makes Git ignore it may still have changed. One that a sparse checkout leaves out does not exist.
clear_index_flags() {
  shadow_git ls-files -v -z 2>/dev/null | lines | sed -n '/^[a-zS] /p' >"$scratch/overlooked"
  sed -n 's/^[a-z] //p' "$scratch/overlooked" | tr '\012\001' '\000\012' >"$scratch/assumed"
  [ ! -s "$scratch/assumed" ] || shadow_git_stdin update-index -z --no-assume-unchanged --stdin <"$scratch/assumed" 2>/dev/null
  sed -n 's/^[sS] //p' "$scratch/overlooked" | tr '\012\001' '\000\012' >"$scratch/skipped"
  [ -s "$scratch/skipped" ] || return 0
  # shellcheck disable=SC2016
  (cd "$tree" && xargs -0 sh -c 'for f do if [ -e "$f" ] || [ -L "$f" ]; then printf "%s\0" "$f"; fi; done' sh <"$scratch/skipped") |
    shadow_git_stdin update-index -z --no-skip-worktree --stdin 2>/dev/null
}

shadow_git() {
  shadow_git_stdin "$@" </dev/null
}

# The same, and it reads standard input.
shadow_git_stdin() {
  git --git-dir="$S" ${tree:+--work-tree="$tree"} -c core.hooksPath=/dev/null -c core.fsmonitor=false -c gc.auto=0 \
    -c core.quotePath=false -c core.warnAmbiguousRefs=false -c pack.threads=1 "$@"
}

# Lists tips as `ID NAME` lines in $S/tips.
collect_tips() {
  : >"$S/tips"
  ! head=$(shadow_git rev-parse --quiet --verify 'HEAD^{commit}') || printf '%s HEAD\n' "$head" >>"$S/tips"
  for name in MERGE_HEAD CHERRY_PICK_HEAD REVERT_HEAD MERGE_AUTOSTASH BISECT_START rebase-merge/orig-head \
    rebase-merge/autostash rebase-apply/orig-head rebase-apply/autostash; do
    [ -f "$git_folder/$name" ] && grep -x '[0-9a-f]\{40,64\}' "$git_folder/$name" | awk -v name="$name" '{ print $1 " progress/" name (NR > 1 ? NR : "") }'
  done >>"$S/tips"
  is_first=
  line=$(encoded "$common")
  if ! grep -qxF -e "$line" "$scratch/commons" 2>/dev/null; then
    is_first=yes
    printf '%s\n' "$line" >>"$scratch/commons"
    : >"$unit/is-first"
    shadow_git for-each-ref --format='%(objectname) %(refname)' 2>"$scratch/errors" |
      grep -v '^[0-9a-f]* refs/\(remotes/\|prefetch/\|wsdash/\|stash$\)' >>"$S/tips"
    [ ! -s "$scratch/errors" ] || problem "${where:-.}: $(tail -n 1 "$scratch/errors")"
    for file in "$common"/worktrees/*/HEAD; do
      [ -f "$file" ] || continue
      id=$(head -n 1 "$file" | grep -x '[0-9a-f]\{40,64\}') || continue
      printf '%s worktrees/%s\n' "$id" "$(wc -l <"$S/tips" | tr -d ' ')" >>"$S/tips"
    done
  fi
}

# Lists every stash as `ID MESSAGE`, newest first, in $S/stashes.
collect_stashes() {
  : >"$S/stashes"
  [ -n "$is_first" ] || return 0
  id=$(shadow_git rev-parse --quiet --verify refs/stash) || return 0
  if [ -f "$common/logs/refs/stash" ]; then
    sed -n "s/^[0-9a-f]* \([0-9a-f]\{40,64\}\) [^$tab]*$tab\{0,1\}/\1 /p" "$common/logs/refs/stash" | sed '1!G;h;$!d' >"$S/stashes"
  fi
  [ -s "$S/stashes" ] || printf '%s stash\n' "$id" >"$S/stashes"
}
