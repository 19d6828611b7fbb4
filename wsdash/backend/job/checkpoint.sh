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
# refs/wsdash/stash/N; refs/wsdash/home, the chosen files of the home folder; refs/wsdash/terminal, what terminal.sh keeps.
# Nothing of the checkout is written but by restore: a repository beside it borrows its objects.
#
# Lines of stream:  new ID BASE EPOCH SIZE HASH, and SIZE bytes;  same ID EPOCH;  failed WHY
# its answers:      kept;  refused WHY
# ID is the attempt's number and a count, 3.7; BASE is the one before, 0.0 for none; HASH is Git's of the bytes.
#
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
  [ $? -ne 128 ] || rm -f "$work/index.work" "$work/index.staged"
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
  add_all || { [ "$why" = unreadable ] && add_all; } || return
  tree=$(GIT_INDEX_FILE=$work/index.work beside write-tree 2>/dev/null) || fail unreadable || return
  beside for-each-ref --format='delete %(refname)' | beside update-ref --stdin || fail disk || return
  head=
  : >"$work/pushed"
  : >"$work/message"
  staged=
  if [ -n "$objects" ]; then
    head=$(checkout rev-parse --quiet --verify HEAD)
    checkout for-each-ref --format='^%(objectname)' refs/remotes/origin >"$work/pushed"
    printf 'head %s\n' "$(checkout symbolic-ref --quiet HEAD || echo "$head")" >"$work/message"
    checkout for-each-ref --format='branch %(objectname) %(refname)' refs/heads >>"$work/message"
    checkout for-each-ref --format='create %(refname) %(objectname)' refs/heads | beside update-ref --stdin ||
      fail unreadable || return
    [ ! -f "$work/index.staged" ] ||
      staged=$(GIT_INDEX_FILE=$work/index.staged beside write-tree 2>/dev/null) || staged=
    nth=0
    for stash in $(checkout log --walk-reflogs --max-count=20 --format=%H refs/stash -- 2>/dev/null); do
      beside update-ref "refs/wsdash/stash/$nth" "$stash"
      nth=$((nth + 1))
    done
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

# --- sending them -------------------------------------------------------------------------------------

# shellcheck disable=SC2317,SC2329  # called by a trap
on_wake() {
  woken=yes
  [ -z "$nap" ] || kill "$nap" 2>/dev/null
}

answer() {
  [ -z "$wish" ] || { printf '%s %s\n' "$wish" "$1" >"$folder/answer.new" && mv "$folder/answer.new" "$folder/answer"; }
}

is_alive() { # FILE: whether the process whose id stands in it runs; sets `pid`
  pid=
  read -r pid 2>/dev/null <"$folder/$1"
  [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null
}

# What is to be sent, or said to be the same, as lines and bytes. Without an answer there is nobody to send to.
by_line() {
  if [ "$tip" = "$sent" ]; then
    printf 'same %s %s\n' "$last" "$at"
  else
    printf 'new %s %s %s %s %s\n' "$id" "$base" "$at" "$size" "$hash"
    cat "$file" || exit 0
    has=
  fi
  read -r heard rest || exit 0
  [ "$heard" = kept ] && return 0
  why=refused
  said=$rest
  return 1
}

registry() { # ID
  printf '%s' "$CI_API_V4_URL/projects/$CI_PROJECT_ID/packages/generic/wsdash-$WSDASH_WORKSPACE/$1/checkpoint.bundle"
}

# Into the project's package registry, and compared with what comes back from there.
by_registry() {
  upload "$(registry "$id")" "$file"
  case $code in 2??) ;; *) fail registry || return ;; esac
  download "$(registry "$id")" "$work/check"
  case $code in 2??) ;; *) fail registry || return ;; esac
  [ "$(git hash-object --no-filters --stdin <"$work/check")" = "$hash" ] || fail registry || return
  rm -f "$work/check"
  deposited registry
}

deposited() {
  printf '%s:%s\n' "$1" "$id" >"$WSDASH_RUN/deposit.new" && mv "$WSDASH_RUN/deposit.new" "$WSDASH_RUN/deposit"
}

# On a branch of the workspace's own, where the project lets its jobs push: one commit that holds the bundle, and that
# the next one takes the place of. Its hash is that of all that is in it.
by_branch() {
  blob=$(beside hash-object -w --no-filters "$file") &&
    tree=$(printf '100644 blob %s\tcheckpoint.bundle\n' "$blob" | beside mktree) &&
    commit=$(printf 'checkpoint %s [skip ci]\n' "$id" | beside commit-tree "$tree") || fail disk || return
  beside push --quiet --force "$CI_SERVER_URL/$CI_PROJECT_PATH.git" "$commit:$branch" >/dev/null 2>&1 &&
    beside ls-remote "$CI_SERVER_URL/$CI_PROJECT_PATH.git" "$branch" 2>/dev/null | grep -q "^$commit" || fail registry || return
  deposited branch
}

by_project() {
  [ "$tip" != "$sent" ] || return 0
  by_registry || by_branch
}

# One checkpoint by_line or by_registry, and what became of it: in `saved` or `unsaved`, and to who waits for it.
give() {
  at=$(date +%s)
  why=
  said=
  if snapshot && { [ "$tip" = "$sent" ] || bundle; }; then
    read_mark
    if [ "$tip" != "$sent" ] && [ "$has" = "$last" ] && [ "$has_hash" = "$hash" ]; then sent=$tip; fi
    if [ "$tip" != "$sent" ]; then
      next_id
      write_mark "$id"
    fi
    if "$1"; then
      sent=$tip
      rm -f "$WSDASH_RUN/unsaved" "$work/bundle"
      printf '%s\n' "$at" >"$WSDASH_RUN/saved.new" && mv "$WSDASH_RUN/saved.new" "$WSDASH_RUN/saved"
      answer "kept $at"
      every=$usual
      return 0
    fi
  elif [ "$1" = by_line ]; then
    printf 'failed %s\n' "$why" || exit 0
  fi
  rm -f "$work/bundle"
  printf '%s\n' "$why" >"$WSDASH_RUN/unsaved"
  answer "failed ${said:-$why}"
  # To try is work too.
  case $every in *[!0-9]*) ;; *) [ "$every" -ge 600 ] || every=$((every * 2)) ;; esac
}

# loop FILE WAY USUAL: until the job ends. FILE says whose turn it is.
loop() {
  printf '%s\n' "$$" >"$folder/$1"
  usual=$3
  every=$usual
  woken=
  nap=
  sent=
  trap on_wake USR1
  while kill -0 "$WSDASH_MAIN"; do
    woken=
    wish=
    pause=$every
    if [ "$1" = depositor ] && is_alive streamer; then
      pause=$usual
    else
      read -r wish <"$folder/wish" && rm -f "$folder/wish"
      if [ -e "$WSDASH_RUN/restored" ]; then
        give "$2"
        pause=$every
      else
        answer 'failed the workspace is not restored yet'
        pause=1
      fi
    fi
    if [ -z "$woken" ]; then
      sleep "$pause" >/dev/null &
      nap=$!
      [ -n "$woken" ] || wait "$nap"
      kill "$nap" 2>/dev/null
      nap=
    fi
  done
}

stream() {
  umask 077
  exec 2>/dev/null
  mkdir -p "$folder"
  ! is_alive streamer || kill "$pid"
  rm -rf "$folder"/work.stream.*
  # What is kept there already: none of it is sent again.
  read -r has has_hash || exit 0
  loop streamer by_line "${WSDASH_CHECKPOINT_S:-60}"
}

deposit() {
  umask 077
  # Whoever waits for the end of the job's output must not wait for this process.
  exec >/dev/null 2>&1 </dev/null
  # A runner that ends the job signals every process of it, and the last one is still to be put there.
  trap '' TERM INT HUP
  mkdir -p "$folder"
  find_http
  has=
  if [ "${1:-}" = once ]; then
    sent=
    wish=
    every=once
    usual=once
    [ ! -e "$WSDASH_RUN/restored" ] || give by_project
    return 0
  fi
  loop depositor by_project "${WSDASH_DEPOSIT_S:-300}"
}

# What an earlier job has put there: registry:ID or branch:ID.
withdraw() {
  umask 077
  project=$PROJECTS_ROOT
  prepare || return
  case $1 in
    registry:*)
      find_http
      download "$(registry "${1#*:}")" "$work/incoming"
      case $code in 2??) ;; *) return 1 ;; esac
      ;;
    branch:*)
      beside fetch --quiet --no-tags "$CI_SERVER_URL/$CI_PROJECT_PATH.git" "$branch" 2>/dev/null || return
      beside log -1 --format=%s FETCH_HEAD | grep -q "^checkpoint ${1#*:} " || return
      beside cat-file blob FETCH_HEAD:checkpoint.bundle >"$work/incoming" || return
      ;;
    *) return 1 ;;
  esac
  mv "$work/incoming" "$folder/incoming"
}

# Exit codes: 0 kept; 1 not; 2 nobody takes them.
save() {
  ! have tmux || sh "$here/terminal.sh" keep
  if ! is_alive streamer && ! is_alive depositor; then
    echo 'failed nobody'
    return 2
  fi
  mine=$$.$(date +%s)
  printf '%s\n' "$mine" >"$folder/wish.new" && mv "$folder/wish.new" "$folder/wish"
  end=$(($(date +%s) + ${1:-30}))
  while [ "$(date +%s)" -le "$end" ]; do
    kill -USR1 "$pid" 2>/dev/null
    answered=
    read -r answered outcome 2>/dev/null <"$folder/answer"
    if [ "$answered" = "$mine" ]; then
      printf '%s\n' "$outcome"
      case $outcome in kept*) return 0 ;; esac
      return 1
    fi
    sleep 0.2 2>/dev/null || sleep 1
  done
  echo 'failed it takes too long'
  return 1
}

# --- putting one back ---------------------------------------------------------------------------------

receive() {
  umask 077
  mkdir -p "$folder"
  wanted=
  read -r wanted 2>/dev/null <"$folder/wanted"
  [ "$wanted" = "$1" ] || return 0
  part=$folder/incoming.$$
  cat >"$part" && [ "$(git hash-object --no-filters --stdin <"$part")" = "$2" ] && mv "$part" "$folder/incoming" && return 0
  rm -f "$part"
  return 1
}

# What the bundle builds on must be there: a branch may be gone from origin that was there.
fetch_missing() {
  sed -n '/^$/q; s/^-\([0-9a-f]\{40,64\}\).*/\1/p' "$1" | while read -r commit; do
    checkout cat-file -e "$commit^{commit}" 2>/dev/null || checkout fetch --quiet --no-tags origin "$commit:refs/wsdash/base/$commit" 2>/dev/null
  done
}

restore() {
  have git || fail no-git || return
  mkdir -p "$project"
  if ! [ -e "$project/.git" ] && git bundle list-heads "$1" 2>/dev/null | grep -q ' refs/heads/\| refs/wsdash/index$'; then
    git init --quiet "$project" || fail disk || return
  fi
  snapshot || return
  present=$tree
  if [ -n "$objects" ]; then
    fetch_missing "$1"
    checkout fetch --quiet --no-tags --no-write-fetch-head "$1" '+refs/heads/*:refs/wsdash/restored/heads/*' \
      '+refs/wsdash/*:refs/wsdash/restored/*' 2>"$work/said" || fail unfit || return
  else
    beside fetch --quiet --no-tags --no-write-fetch-head "$1" '+refs/wsdash/*:refs/wsdash/restored/*' \
      2>"$work/said" || fail unfit || return
  fi
  if [ -n "$objects" ]; then from=checkout; else from=beside; fi
  restored=$($from rev-parse --verify refs/wsdash/restored/work) || fail unfit || return
  wanted_tree=$($from rev-parse "$restored^{tree}") || fail unfit || return
  if [ -n "$objects" ]; then
    # What was here, such as an older state from the cache, stays to be had.
    checkout fetch --quiet --no-tags --no-write-fetch-head "$own" '+refs/wsdash/work:refs/wsdash/before/work' \
      '+refs/heads/*:refs/wsdash/before/heads/*' || fail disk || return
  fi
  cd "$project" || fail no-folder || return
  GIT_INDEX_FILE=$work/index.work beside --work-tree="$project" read-tree -m -u "$present" "$wanted_tree" 2>/dev/null ||
    GIT_INDEX_FILE=$work/index.work beside --work-tree="$project" read-tree --reset -u "$wanted_tree" 2>"$work/said" ||
    fail disk || return
  [ -z "$objects" ] || restore_refs || return
  restore_folder home "$HOME"
  mkdir -p "$terminal" && restore_folder terminal "$terminal"
  [ -z "$objects" ] || checkout for-each-ref --format='delete %(refname)' refs/wsdash/restored refs/wsdash/base |
    checkout update-ref --stdin
  rm -rf "$work"
  write_mark "$2"
}

restore_refs() {
  checkout cat-file commit "$restored" | sed '1,/^$/d' >"$work/message"
  while read -r kind what name; do
    case $kind in
      head) head=$what ;;
      branch) checkout update-ref "$name" "$what" 2>/dev/null || say "the branch ${name#refs/heads/} could not be restored." ;;
    esac
  done <"$work/message"
  case $head in
    refs/heads/*) checkout symbolic-ref HEAD "$head" ;;
    ?*) checkout update-ref --no-deref HEAD "$head" ;;
  esac || fail unfit || return
  if staged=$(checkout rev-parse --quiet --verify refs/wsdash/restored/index); then
    checkout read-tree "$staged"
  elif checkout rev-parse --quiet --verify HEAD >/dev/null; then
    checkout read-tree HEAD
  else
    checkout read-tree --empty
  fi || fail disk || return
  GIT_OPTIONAL_LOCKS=1 checkout update-index -q --refresh >/dev/null 2>&1
  for stash in $(checkout for-each-ref --sort=-version:refname --format='%(objectname)' refs/wsdash/restored/stash); do
    checkout log --walk-reflogs --format=%H refs/stash -- 2>/dev/null | grep -q "$stash" ||
      (unset GIT_COMMITTER_DATE; checkout stash store --message "$(checkout log -1 --format=%s "$stash")" "$stash")
  done
  return 0
}

restore_folder() { # REF FOLDER
  kept=$($from rev-parse --quiet --verify "refs/wsdash/restored/$1^{tree}") || return 0
  rm -f "$work/index.folder"
  GIT_INDEX_FILE=$work/index.folder beside read-tree "$kept" &&
    GIT_INDEX_FILE=$work/index.folder beside --work-tree="$2" checkout-index --all --force 2>/dev/null
}

# ------------------------------------------------------------------------------------------------------

project_folder=
home_files=
# shellcheck source=/dev/null
. "$here/workload.sh"
project=$PROJECTS_ROOT${project_folder:+/$project_folder}
why=
run=$WSDASH_RUN
# shellcheck source=/dev/null
[ ! -r "$here/gitlab_http.sh" ] || . "$here/gitlab_http.sh"
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
