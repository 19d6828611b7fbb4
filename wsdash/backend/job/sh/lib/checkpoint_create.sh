# shellcheck shell=sh disable=SC2154,SC2034
# Sourced by checkpoint.sh: creates a checkpoint, as refs of the separate repository and then as a bundle.

prepare() {
  have git || fail no-git || return
  mkdir -p "$work" || fail disk || return
  if [ -d "$own" ]; then
    kib=$(shadow_git count-objects -v 2>/dev/null | sed -n 's/^size: //p')
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
    # Bytes are not converted, whatever the attributes of the project say.
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

# Copies the index of the checkout if it has changed: its times save reading unchanged files.
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
  GIT_INDEX_FILE=$work/index.work shadow_git ls-files --error-unmatch . >/dev/null 2>&1
  # An index that needs another file (a split index) cannot be read here.
  if [ $? -eq 128 ]; then rm -f "$work/index.work" "$work/index.staged"; fi
}

# A file with a flag that makes Git ignore it may still have changed. One that a sparse checkout leaves out does not exist.
clear_index_flags() {
  export GIT_INDEX_FILE="$work/index.work"
  shadow_git ls-files -v -z 2>/dev/null | tr '\000\012' '\012\001' | sed -n '/^[a-zS] /p' >"$work/overlooked"
  sed -n 's/^[a-z] //p' "$work/overlooked" | tr '\012\001' '\000\012' >"$work/assumed"
  [ ! -s "$work/assumed" ] || shadow_git --work-tree="$project" update-index -z --no-assume-unchanged --stdin <"$work/assumed" 2>/dev/null
  sed -n 's/^[sS] //p' "$work/overlooked" | tr '\012\001' '\000\012' >"$work/skipped"
  # shellcheck disable=SC2016
  [ ! -s "$work/skipped" ] ||
    (cd "$project" && xargs -0 sh -c 'for f do if [ -e "$f" ] || [ -L "$f" ]; then printf "%s\0" "$f"; fi; done' sh <"$work/skipped") |
    shadow_git --work-tree="$project" update-index -z --no-skip-worktree --stdin 2>/dev/null
  unset GIT_INDEX_FILE
  return 0
}

# A file that is larger than a whole checkpoint may be, or that fills the disk, ends the command.
limited() {
  (
    ulimit -f $((most_kib * 2)) 2>/dev/null
    "$@"
  )
}

add_all() {
  GIT_INDEX_FILE=$work/index.work limited shadow_git --work-tree="$project" add --all --ignore-errors . \
    >/dev/null 2>"$work/errors"
  status=$?
  if [ "$status" -gt 128 ]; then
    # The ended command has left files that fill the disk and lock the index.
    rm -rf "$own" "$work"/index.*
    fail too-large || return
  fi
  [ "$status" -eq 0 ] || ! grep -q 'No space left\|unable to write' "$work/errors" || fail disk || return
  [ "$status" -lt 128 ] || fail unreadable || return
  return 0
}

has_room() {
  free=$(df -Pk "$folder" 2>/dev/null | { read -r _; read -r _ _ _ free _ && printf '%s' "$free"; })
  case $free in '' | *[!0-9]*) return 0 ;; esac
  # A tenth of the free space: the user's own work has priority.
  [ $((free / 10)) -ge "$most_kib" ] || most_kib=$((free / 10))
  [ "$most_kib" -gt 64 ] || fail disk
}

# Creates all refs of the next checkpoint; `tip` names them.
snapshot() {
  prepare && has_room && copy_index || return
  cd "$project" || fail no-folder || return
  [ ! -f "$work/index.work" ] || clear_index_flags
  add_all || { [ "$why" = unreadable ] && add_all; } || return
  tree=$(GIT_INDEX_FILE=$work/index.work shadow_git write-tree 2>/dev/null) || fail unreadable || return
  shadow_git for-each-ref --format='delete %(refname)' | shadow_git update-ref --stdin || fail disk || return
  head=
  : >"$work/pushed"
  : >"$work/message"
  staged=
  if [ -n "$objects" ]; then
    head=$(checkout rev-parse --quiet --verify HEAD)
    # The commits of the next job's clone, which comes from the source: origin may be another repository by now.
    [ -n "$(checkout config --get-all remote.origin.url)" ] &&
      ! checkout config --get-regexp '^remote\.origin\.(url|pushurl)$' | cut -d ' ' -f 2- | grep -qvxF -e "$source_url" &&
      checkout for-each-ref --format='^%(objectname)' refs/remotes/origin >"$work/pushed"
    printf 'head %s\n' "$(checkout symbolic-ref --quiet HEAD || echo "$head")" >"$work/message"
    checkout for-each-ref --format='branch %(objectname) %(refname)' refs/heads >>"$work/message"
    checkout for-each-ref --format='create %(refname) %(objectname)' refs/heads | shadow_git update-ref --stdin ||
      fail unreadable || return
    [ ! -f "$work/index.staged" ] ||
      staged=$(GIT_INDEX_FILE=$work/index.staged shadow_git write-tree 2>/dev/null) || staged=
    nth=0
    for stash in $(checkout log --walk-reflogs --max-count=500 --format=%H refs/stash -- 2>/dev/null); do
      shadow_git update-ref "refs/wsdash/stash/$nth" "$stash"
      nth=$((nth + 1))
    done
    snapshot_own_refs
  fi
  if [ -n "$staged" ]; then
    # shellcheck disable=SC2086  # a parent or none
    staged=$(echo index | shadow_git commit-tree "$staged" ${head:+-p $head}) || fail disk || return
    shadow_git update-ref refs/wsdash/index "$staged"
  fi
  # shellcheck disable=SC2086
  commit=$(shadow_git commit-tree "$tree" ${head:+-p $head} ${staged:+-p $staged} <"$work/message") || fail disk || return
  shadow_git update-ref refs/wsdash/work "$commit" || fail disk || return
  snapshot_home
  snapshot_terminal
  [ -n "${restoring:-}" ] || snapshot_others
  tip=$(shadow_git for-each-ref --format='%(refname) %(objectname)')
}

snapshot_home() {
  rm -f "$work/index.home"
  cd "$HOME" 2>/dev/null || return 0
  printf '%s\n' "$home_files" | while IFS= read -r kept; do
    case $kept in '' | /* | *..*) continue ;; esac
    [ ! -e "$HOME/$kept" ] || printf '%s\n' "$kept"
  done >"$work/home"
  [ -s "$work/home" ] || return 0
  GIT_INDEX_FILE=$work/index.home limited shadow_git --work-tree="$HOME" add --force --ignore-errors \
    --pathspec-from-file="$work/home" >/dev/null 2>&1
  tree=$(GIT_INDEX_FILE=$work/index.home shadow_git write-tree 2>/dev/null) || return 0
  kept=$(echo home | shadow_git commit-tree "$tree") && shadow_git update-ref refs/wsdash/home "$kept"
}

snapshot_terminal() {
  [ -d "$terminal" ] || return 0
  rm -f "$work/index.terminal"
  GIT_INDEX_FILE=$work/index.terminal limited shadow_git --work-tree="$terminal" add --force --all "$terminal" >/dev/null 2>&1
  tree=$(GIT_INDEX_FILE=$work/index.terminal shadow_git write-tree 2>/dev/null) || return 0
  kept=$(echo terminal | shadow_git commit-tree "$tree") && shadow_git update-ref refs/wsdash/terminal "$kept"
}

# Creates the bundle of the refs from `snapshot`: sets `file`, `size` and `hash`.
bundle() {
  file=$work/bundle
  { shadow_git for-each-ref --format='%(refname)'; cat "$work/pushed"; } |
    limited shadow_git -c pack.window=50 bundle create --quiet "$file" --stdin >/dev/null 2>"$work/errors"
  if ! [ -s "$file" ]; then
    ! grep -q 'No space left' "$work/errors" || fail disk || return
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
