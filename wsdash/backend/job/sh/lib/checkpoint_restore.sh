# shellcheck shell=sh disable=SC2154,SC2034
# Sourced by checkpoint.sh: receives the last checkpoint, and restores it into the project's folder.

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

# Downloads the one that an earlier job has uploaded: registry:ID or branch:ID.
download_checkpoint() {
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
      shadow_git fetch --quiet --no-tags "$CI_SERVER_URL/$CI_PROJECT_PATH.git" "$branch" 2>/dev/null || return
      shadow_git log -1 --format=%s FETCH_HEAD | grep -q "^checkpoint ${1#*:} " || return
      shadow_git cat-file blob FETCH_HEAD:checkpoint.bundle >"$work/incoming" || return
      ;;
    *) return 1 ;;
  esac
  mv "$work/incoming" "$folder/incoming"
}

# Fetches the commits on which the bundle builds, if they are missing: a branch may have been removed from origin.
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
  restoring=yes
  snapshot || return
  present=$tree
  if [ -n "$objects" ]; then
    fetch_missing "$1"
    checkout fetch --quiet --no-tags --no-write-fetch-head "$1" '+refs/heads/*:refs/wsdash/restored/heads/*' \
      '+refs/wsdash/*:refs/wsdash/restored/*' 2>"$work/errors" || fail unfit || return
  else
    shadow_git fetch --quiet --no-tags --no-write-fetch-head "$1" '+refs/wsdash/*:refs/wsdash/restored/*' \
      2>"$work/errors" || fail unfit || return
  fi
  if [ -n "$objects" ]; then from=checkout; else from=shadow_git; fi
  restored=$($from rev-parse --verify refs/wsdash/restored/work) || fail unfit || return
  wanted_tree=$($from rev-parse "$restored^{tree}") || fail unfit || return
  if [ -n "$objects" ]; then
    # The present state, such as an older one from the cache, stays in refs/wsdash/before.
    checkout fetch --quiet --no-tags --no-write-fetch-head "$own" '+refs/wsdash/work:refs/wsdash/before/work' \
      '+refs/heads/*:refs/wsdash/before/heads/*' || fail disk || return
  fi
  cd "$project" || fail no-folder || return
  GIT_INDEX_FILE=$work/index.work shadow_git --work-tree="$project" read-tree -m -u "$present" "$wanted_tree" 2>/dev/null ||
    GIT_INDEX_FILE=$work/index.work shadow_git --work-tree="$project" read-tree --reset -u "$wanted_tree" 2>"$work/errors" ||
    fail disk || return
  [ -z "$objects" ] || { restore_refs && restore_own_refs; } || return
  restore_others
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
      branch) checkout update-ref "$name" "$what" 2>/dev/null || say "The branch ${name#refs/heads/} could not be restored." ;;
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
  GIT_INDEX_FILE=$work/index.folder shadow_git read-tree "$kept" &&
    GIT_INDEX_FILE=$work/index.folder shadow_git --work-tree="$2" checkout-index --all --force 2>/dev/null
}
