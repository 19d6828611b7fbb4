#!/bin/sh
# shellcheck disable=SC2154,SC2034  # what gitlab_http.sh sets and reads
# Checkpoints: the unsaved work of a workspace, as a Git bundle that is kept outside of its job.
#
#   sh checkpoint.sh stream            send each as it is made, on stdout; stdin says whether it is kept
#   sh checkpoint.sh deposit [once]    put each into the project's package registry, or on a branch, while no line takes
#                                      them; or one now
#   sh checkpoint.sh withdraw FROM:ID  get one from there
#   sh checkpoint.sh save [SECONDS]    have one made and kept now, with the terminal; says how that went
#   sh checkpoint.sh receive ID HASH   the kept one, on stdin, for a job that waits for it
#   sh checkpoint.sh restore FILE ID   put it into the project's folder
#   sh checkpoint.sh newer ID ID       whether the first is newer
#
# What is in one, as refs: refs/heads/* that are not on origin; refs/wsdash/work, a commit of the working tree with
# all that is not ignored, whose parents are HEAD and refs/wsdash/index, and whose message names HEAD and the branches;
# refs/wsdash/stash/N, tags/*, worktrees/*; refs/wsdash/others, what is unsaved in other repositories and outside of any, a
# tree of the files that restore_work.sh restores; refs/wsdash/home, the chosen files of the home folder; refs/wsdash/terminal, what terminal.sh keeps.
# Nothing of the checkout is written but by restore: a repository beside it borrows its objects.
#
# Lines of stream:  new ID BASE EPOCH SIZE HASH, and SIZE bytes;  same ID EPOCH;  failed WHY
# its answers:      kept;  refused WHY
# ID is the attempt's number and a count, 3.7; BASE is the one before, 0.0 for none; HASH is Git's of the bytes.
#
# checkpoint_send.sh, checkpoint_restore.sh, checkpoint_others.sh and gitlab_http.sh stand beside this file.
# Environment: PROJECTS_ROOT, HOME, WSDASH_RUN, WSDASH_ATTEMPT, WSDASH_MAIN, WSDASH_CHECKPOINT_S (seconds between two),
# WSDASH_DEPOSIT_S (the same in the registry), WSDASH_CHECKPOINT_MIB (what one may take), and for the registry
# WSDASH_WORKSPACE and GitLab's own. The workload's file says `home_files`: paths below HOME, a line each.

here=${0%/*}
folder=$WSDASH_RUN/checkpoint
# What this process alone writes: one that was ended may have left another at work.
work=$folder/work.${1:-}.$$
own=$work/git
mark=${PROJECTS_ROOT%/*}/state/checkpoint
branch=refs/heads/wsdash-checkpoints/${WSDASH_WORKSPACE:-}
terminal=${PROJECTS_ROOT%/*}/state/terminal
most_kib=$((${WSDASH_CHECKPOINT_MIB:-256} * 1024))
number=${WSDASH_ATTEMPT#*.}
number=${number%%.*}

export GIT_OPTIONAL_LOCKS=0 GIT_TERMINAL_PROMPT=0 LC_ALL=C \
  GIT_AUTHOR_NAME=wsdash GIT_AUTHOR_EMAIL=wsdash GIT_AUTHOR_DATE='@0 +0000' \
  GIT_COMMITTER_NAME=wsdash GIT_COMMITTER_EMAIL=wsdash GIT_COMMITTER_DATE='@0 +0000'
unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE

have() {
  command -v "$1" >/dev/null 2>&1
}

say() {
  printf 'wsdash: %s\n' "$1"
}

# The repository beside the checkout: none of the checkout's configuration and hooks.
beside() {
  git --git-dir="$own" -c core.hooksPath=/dev/null -c core.fsmonitor=false -c core.bare=false -c gc.auto=0 "$@"
}

checkout() {
  git -C "$project" -c core.hooksPath=/dev/null -c core.fsmonitor=false -c gc.auto=0 "$@"
}

is_newer() { # ID ID: whether the first is newer
  [ "${1%.*}" -gt "${2%.*}" ] || { [ "${1%.*}" -eq "${2%.*}" ] && [ "${1#*.}" -gt "${2#*.}" ]; }
}

read_mark() {
  last=0.0
  read -r last 2>/dev/null <"$mark"
  case $last in *[!0-9.]* | *.*.* | .* | *. | '') last=0.0 ;; esac
}

write_mark() {
  mkdir -p "${mark%/*}" && printf '%s\n' "$1" >"$mark.new" && mv "$mark.new" "$mark"
}

# What cannot be done is said in `why`: a word, for a heartbeat has room for no more.
fail() {
  why=$1
  return 1
}

# --- making one ---------------------------------------------------------------------------------------

prepare() {
  have git || fail no-git || return
  mkdir -p "$work" || fail disk || return
  if [ -d "$own" ]; then
    kib=$(beside count-objects -v 2>/dev/null | sed -n 's/^size: //p')
    [ "${kib:-$most_kib}" -lt "$most_kib" ] || rm -rf "$own" "$work"/index.*
  fi
  format=sha1
  objects=
  if [ -e "$project/.git" ]; then
    format=$(checkout rev-parse --show-object-format 2>/dev/null) || format=sha1
    objects=$(cd "$project" && cd "$(git rev-parse --git-path objects)" && pwd) || fail no-repository || return
  fi
  if ! [ -d "$own/objects" ]; then
    git init --quiet --bare --template= --object-format="$format" "$own" >/dev/null 2>&1 || fail disk || return
    mkdir -p "$own/info" "$own/objects/info"
    # Bytes as they are, whatever the attributes of the project would make of them.
    echo '* -text -filter -ident -working-tree-encoding' >"$own/info/attributes"
  fi
  printf '%s' "${objects:+$objects
}" >"$own/objects/info/alternates"
  excludes=$(cd "$project" && git rev-parse --git-path info/exclude 2>/dev/null) && [ -n "$objects" ] &&
    (cd "$project" && cp "$excludes" "$own/info/exclude" 2>/dev/null)
  [ -n "$objects" ] || : >"$own/info/exclude"
  exclude_nested
  return 0
}

# The index of the checkout, copied when it has changed: its times spare looking into unchanged files.
copy_index() {
  index=
  [ -z "$objects" ] || index=$(cd "$project" && git rev-parse --git-path index)
  case $index in /* | '') ;; *) index=$project/$index ;; esac
  if [ -z "$index" ] || ! [ -f "$index" ]; then
    rm -f "$work/index.copied" "$work/index.staged"
    return 0
  fi
  # shellcheck disable=SC3013  # every shell that may be here has -nt
  if [ -f "$work/index.copied" ] && ! [ "$index" -nt "$work/index.copied" ]; then return 0; fi
  cp -p "$index" "$work/index.copied" || fail disk || return
  cp -p "$work/index.copied" "$work/index.staged" && cp -p "$work/index.copied" "$work/index.work" ||
    fail disk || return
  GIT_INDEX_FILE=$work/index.work beside ls-files --error-unmatch . >/dev/null 2>&1
  # One that leans on a file elsewhere (a split index) cannot be read here.
  if [ $? -eq 128 ]; then rm -f "$work/index.work" "$work/index.staged"; fi
}

# A file that its user told Git not to look at may have changed all the same. One that a sparse checkout leaves out is
# not there.
overlook_nothing() {
  export GIT_INDEX_FILE="$work/index.work"
  beside ls-files -v -z 2>/dev/null | tr '\000\012' '\012\001' | sed -n '/^[a-zS] /p' >"$work/overlooked"
  sed -n 's/^[a-z] //p' "$work/overlooked" | tr '\012\001' '\000\012' >"$work/assumed"
  [ ! -s "$work/assumed" ] || beside --work-tree="$project" update-index -z --no-assume-unchanged --stdin <"$work/assumed" 2>/dev/null
  sed -n 's/^[sS] //p' "$work/overlooked" | tr '\012\001' '\000\012' >"$work/skipped"
  # shellcheck disable=SC2016
  [ ! -s "$work/skipped" ] ||
    (cd "$project" && xargs -0 sh -c 'for f do if [ -e "$f" ] || [ -L "$f" ]; then printf "%s\0" "$f"; fi; done' sh <"$work/skipped") |
    beside --work-tree="$project" update-index -z --no-skip-worktree --stdin 2>/dev/null
  unset GIT_INDEX_FILE
  return 0
}

# A file that is larger than all of a checkpoint may be, or that fills the disk, ends the command.
limited() {
  (
    ulimit -f $((most_kib * 2)) 2>/dev/null
    "$@"
  )
}

add_all() {
  GIT_INDEX_FILE=$work/index.work limited beside --work-tree="$project" add --all --ignore-errors . \
    >/dev/null 2>"$work/said"
  status=$?
  if [ "$status" -gt 128 ]; then
    # What the ended command has left fills the disk and locks the index.
    rm -rf "$own" "$work"/index.*
    fail too-large || return
  fi
  [ "$status" -eq 0 ] || ! grep -q 'No space left\|unable to write' "$work/said" || fail disk || return
  [ "$status" -lt 128 ] || fail unreadable || return
  return 0
}

has_room() {
  free=$(df -Pk "$folder" 2>/dev/null | { read -r _; read -r _ _ _ free _ && printf '%s' "$free"; })
  case $free in '' | *[!0-9]*) return 0 ;; esac
  # A tenth of what is free: what the user does comes first.
  [ $((free / 10)) -ge "$most_kib" ] || most_kib=$((free / 10))
  [ "$most_kib" -gt 64 ] || fail disk
}

# All refs of the next one; `tip` names them.
snapshot() {
  prepare && has_room && copy_index || return
  cd "$project" || fail no-folder || return
  [ ! -f "$work/index.work" ] || overlook_nothing
  add_all || { [ "$why" = unreadable ] && add_all; } || return
  tree=$(GIT_INDEX_FILE=$work/index.work beside write-tree 2>/dev/null) || fail unreadable || return
  beside for-each-ref --format='delete %(refname)' | beside update-ref --stdin || fail disk || return
  head=
  : >"$work/pushed"
  : >"$work/message"
  staged=
  if [ -n "$objects" ]; then
    head=$(checkout rev-parse --quiet --verify HEAD)
    # What the next job's clone has, which it takes from the source: origin may be another repository by now.
    [ -n "$(checkout config --get-all remote.origin.url)" ] &&
      ! checkout config --get-regexp '^remote\.origin\.(url|pushurl)$' | cut -d ' ' -f 2- | grep -qvxF -e "$source_url" &&
      checkout for-each-ref --format='^%(objectname)' refs/remotes/origin >"$work/pushed"
    printf 'head %s\n' "$(checkout symbolic-ref --quiet HEAD || echo "$head")" >"$work/message"
    checkout for-each-ref --format='branch %(objectname) %(refname)' refs/heads >>"$work/message"
    checkout for-each-ref --format='create %(refname) %(objectname)' refs/heads | beside update-ref --stdin ||
      fail unreadable || return
    [ ! -f "$work/index.staged" ] ||
      staged=$(GIT_INDEX_FILE=$work/index.staged beside write-tree 2>/dev/null) || staged=
    nth=0
    for stash in $(checkout log --walk-reflogs --max-count=500 --format=%H refs/stash -- 2>/dev/null); do
      beside update-ref "refs/wsdash/stash/$nth" "$stash"
      nth=$((nth + 1))
    done
    snapshot_own_refs
  fi
  if [ -n "$staged" ]; then
    # shellcheck disable=SC2086  # a parent or none
    staged=$(echo index | beside commit-tree "$staged" ${head:+-p $head}) || fail disk || return
    beside update-ref refs/wsdash/index "$staged"
  fi
  # shellcheck disable=SC2086
  commit=$(beside commit-tree "$tree" ${head:+-p $head} ${staged:+-p $staged} <"$work/message") || fail disk || return
  beside update-ref refs/wsdash/work "$commit" || fail disk || return
  snapshot_home
  snapshot_terminal
  [ -n "${restoring:-}" ] || snapshot_others
  tip=$(beside for-each-ref --format='%(refname) %(objectname)')
}

snapshot_home() {
  rm -f "$work/index.home"
  cd "$HOME" 2>/dev/null || return 0
  printf '%s\n' "$home_files" | while IFS= read -r kept; do
    case $kept in '' | /* | *..*) continue ;; esac
    [ ! -e "$HOME/$kept" ] || printf '%s\n' "$kept"
  done >"$work/home"
  [ -s "$work/home" ] || return 0
  GIT_INDEX_FILE=$work/index.home limited beside --work-tree="$HOME" add --force --ignore-errors \
    --pathspec-from-file="$work/home" >/dev/null 2>&1
  tree=$(GIT_INDEX_FILE=$work/index.home beside write-tree 2>/dev/null) || return 0
  kept=$(echo home | beside commit-tree "$tree") && beside update-ref refs/wsdash/home "$kept"
}

snapshot_terminal() {
  [ -d "$terminal" ] || return 0
  rm -f "$work/index.terminal"
  GIT_INDEX_FILE=$work/index.terminal limited beside --work-tree="$terminal" add --force --all "$terminal" >/dev/null 2>&1
  tree=$(GIT_INDEX_FILE=$work/index.terminal beside write-tree 2>/dev/null) || return 0
  kept=$(echo terminal | beside commit-tree "$tree") && beside update-ref refs/wsdash/terminal "$kept"
}

# The bundle of what `snapshot` found, in `file`, with its `size` and `hash`.
bundle() {
  file=$work/bundle
  { beside for-each-ref --format='%(refname)'; cat "$work/pushed"; } |
    limited beside -c pack.window=50 bundle create --quiet "$file" --stdin >/dev/null 2>"$work/said"
  if ! [ -s "$file" ]; then
    ! grep -q 'No space left' "$work/said" || fail disk || return
    fail too-large || return
  fi
  size=$(($(wc -c <"$file")))
  [ "$size" -le $((most_kib * 1024)) ] || fail too-large || return
  hash=$(git hash-object --no-filters --stdin <"$file") || fail disk
}

next_id() {
  read_mark
  base=$last
  count=0
  [ "${last%.*}" != "$number" ] || count=${last#*.}
  id=$number.$((count + 1))
}

project_folder=
home_files=
source_url=
# shellcheck source=/dev/null
. "$here/workload.sh"
project=$PROJECTS_ROOT${project_folder:+/$project_folder}
why=
run=$WSDASH_RUN
# shellcheck source=/dev/null
[ ! -r "$here/gitlab_http.sh" ] || . "$here/gitlab_http.sh"
# shellcheck source=/dev/null
. "$here/checkpoint_send.sh"
# shellcheck source=/dev/null
. "$here/checkpoint_restore.sh"
# shellcheck source=/dev/null
. "$here/checkpoint_others.sh"
case ${1:-} in
  stream) stream ;;
  deposit) deposit "${2:-}" ;;
  withdraw) withdraw "$2" ;;
  save) save "${2:-}" ;;
  receive) receive "$2" "$3" ;;
  newer) is_newer "$2" "$3" ;;
  restore) restore "$2" "$3" || { echo "$why"; exit 1; } ;;
  *) printf 'usage: sh checkpoint.sh stream|deposit|withdraw FROM:ID|save [SECONDS]|receive ID HASH|restore FILE ID|newer ID ID\n' >&2; exit 64 ;;
esac
