# shellcheck shell=sh disable=SC2154,SC2034
# Sourced by checkpoint.sh: unsaved work outside the project's own repository. Repositories below it and next to it, and
# files outside of any, as unsaved.sh defines them; packed as for `wsdash delete --keep-work`, as the tree of refs/wsdash/others.

snapshot_others() {
  partly=
  packed=$work/others
  rm -rf "$packed"
  mkdir "$packed" || return 0
  TMPDIR=$work limited sh "$here/save_work.sh" others "$project_folder" "$packed" "$((most_kib / 2))" \
    >/dev/null 2>&1 </dev/null || partly=others
  if [ -n "$(ls -A "$packed")" ]; then
    rm -f "$work/index.others"
    GIT_INDEX_FILE=$work/index.others limited shadow_git --work-tree="$packed" add --force --all "$packed" >/dev/null 2>&1 &&
      tree=$(GIT_INDEX_FILE=$work/index.others shadow_git write-tree 2>/dev/null) &&
      kept=$(echo others | shadow_git commit-tree "$tree") && shadow_git update-ref refs/wsdash/others "$kept" || partly=others
  fi
  rm -rf "$packed"
}

# Of the project's own repository, refs without a branch: tags that did not come with the clone, HEADs of linked worktrees.
snapshot_own_refs() {
  common=$(checkout rev-parse --git-common-dir) || return 0
  case $common in /*) ;; *) common=$project/$common ;; esac
  for file in "$common"/worktrees/*/HEAD; do
    [ -f "$file" ] || continue
    id=$(head -n 1 "$file" | grep -x '[0-9a-f]\{40,64\}') && shadow_git update-ref "refs/wsdash/worktrees/$id" "$id" 2>/dev/null
  done
  # Without that list it is unknown which tags are on the remote.
  [ -f "$common/wsdash-fetched" ] || return 0
  { echo none && cat "$common/wsdash-fetched"; } >"$work/fetched"
  checkout for-each-ref --format='%(objectname) %(refname)' refs/tags | grep -vF -f "$work/fetched" |
    sed 's|^\([0-9a-f]*\) refs/tags/\(.*\)$|create refs/wsdash/tags/\2 \1|' | shadow_git update-ref --stdin 2>/dev/null
  grep -x '[0-9a-f]\{40,64\}' "$common/wsdash-fetched" | checkout cat-file --batch-check='%(objectname)' |
    sed -n 's/^[0-9a-f]\{40,64\}$/^&/p' >>"$work/pushed"
}

# Repositories in the project do not count as its files.
exclude_nested() {
  (cd "$project" && find . -name .git -prune) 2>/dev/null | sed -n 's/[][*?\\]/\\&/g; s|^\.\(/.*/\)\.git$|\1|p' >>"$own/info/exclude"
}

restore_own_refs() {
  checkout for-each-ref --format='%(objectname) %(refname)' refs/wsdash/restored/tags refs/wsdash/restored/worktrees |
    while read -r id name; do
      case $name in
        refs/wsdash/restored/tags/*) name=refs/tags/${name#refs/wsdash/restored/tags/} ;;
        *) name=refs/kept/worktrees/${name##*/} ;;
      esac
      checkout rev-parse --quiet --verify "$name" >/dev/null || checkout update-ref "$name" "$id"
    done
}

# Restores over files of an older cache, which are then available in refs/wsdash/before of each repository.
restore_others() {
  $from rev-parse --quiet --verify 'refs/wsdash/restored/others^{tree}' >/dev/null || return 0
  mkdir -p "$work/others" || return 0
  restore_folder others "$work/others"
  cp "$here/restore_work.sh" "$work/others/restore.sh"
  for section in project beside; do
    [ "$section" = project ] || project=$PROJECTS_ROOT
    (cd "$project" && WSDASH_RESTORE_OVER=yes sh "$work/others/restore.sh" "$section") >"$work/errors" 2>&1 ||
      say "Some repositories or files outside the project could not be restored: $(tail -n 1 "$work/errors")"
  done
  project=$PROJECTS_ROOT${project_folder:+/$project_folder}
}
