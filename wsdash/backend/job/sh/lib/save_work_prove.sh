# shellcheck shell=sh disable=SC2154,SC2034
# Sourced by save_work.sh: restores the packed work into a scratch folder, and compares it with the original.

prove_all() {
  mkdir -p "$scratch/proof/project" "$scratch/proof/beside"
  : >>"$out/contents"
  prepare_bases || return
  for section in project beside; do
    cd "$scratch/proof/$section" || return
    GIT_ALLOW_PROTOCOL="file" sh "$out/restore.sh" "$section" 2>"$scratch/errors" >/dev/null ||
      refuse "what was packed cannot be restored: $(tail -n 1 "$scratch/errors")" || return
  done
  for unit in "$scratch"/unit/*; do
    [ -e "$unit/file" ] || continue
    load_unit "${unit##*/}"
    prove_unit || return
  done
  prove_loose within "$scratch/proof/project" files.tar && prove_loose beside "$scratch/proof/beside" beside.tar && prove_bare || return
  [ -s "$out/contents" ] || rm "$out/contents"
}

restored_folder() { # into `folder`
  stored "$unit/file"
  file=$value
  stored "$unit/place"
  decoded "$value"
  folder=$scratch/proof/project/$value
  case $file in beside-*) folder=$scratch/proof/beside/$value ;; esac
}

# A bundle that builds on remote commits is tested on those alone: each such commit without its history.
prepare_bases() {
  for unit in "$scratch"/unit/*; do
    [ -e "$unit/file" ] || continue
    load_unit "${unit##*/}"
    restored_folder
    sed -n '/^$/q; s/^-\([0-9a-f]\{40,64\}\).*/\1/p' "$out/$file" >"$scratch/bases"
    [ -s "$scratch/bases" ] || continue
    format=$(shadow_git rev-parse --show-object-format)
    mkdir -p "$folder" && git init --quiet "--object-format=$format" "$folder" || return
    shadow_git config uploadpack.allowAnySHA1InWant true
    while read -r base; do
      GIT_ALLOW_PROTOCOL="file" git -C "$folder" fetch --quiet --depth=1 "file://$S" "$base:refs/bases/$base" 2>"$scratch/errors" ||
        refuse "${where:-.}: a commit on which its work builds is not whole here: $(tail -n 1 "$scratch/errors")" || return
    done <"$scratch/bases"
  done
}

restored() {
  git -C "$folder" "$@" </dev/null 2>"$scratch/errors"
}

differs() {
  refuse "${where:-.}: $1 could not be proven to come back as it is"
}

changed() { # FILE, as a line
  refuse "${where:-.}: $1 changed while it was packed"
}

# Lists files below this folder that differ from an index in $scratch/differing: by their bytes if they were packed as changed,
# the others also by Git's conversions, because Git writes them when they are restored.
list_differing() { # INDEX
  for view in bytes git; do
    compare_as "$view"
    cp -p "$S/$1" "$S/index.$view" || return
    GIT_INDEX_FILE=$S/index.$view shadow_git update-index -q --refresh >/dev/null 2>&1
    GIT_INDEX_FILE=$S/index.$view shadow_git diff-files --name-only -z --ignore-submodules >"$scratch/names" 2>/dev/null || return
    lines <"$scratch/names" >"$scratch/differing.$view"
  done
  sed 's/^...//' "$S/changes" | cat - "$scratch/differing.git" >"$scratch/exact"
  awk 'NR == FNR { exact[$0]; next } $0 in exact' "$scratch/exact" "$scratch/differing.bytes" >"$scratch/differing"
}

# Untracked files that are not in the packed index, into $scratch/left-out: a name with the byte 1 means another file.
list_left_out() {
  (cd "$tree" && GIT_INDEX_FILE=$S/index.work shadow_git status --porcelain -z --no-renames --untracked-files=all --ignore-submodules=dirty) 2>/dev/null |
    lines | grep -vxF -f "$S/nested" | sed -n 's/^?? //p' >"$scratch/left-out"
}

prove_unit() {
  restored_folder
  head=$(sed -n 's/ HEAD$//p' "$S/tips")
  [ "$(restored rev-parse --quiet --verify HEAD)" = "$head" ] || differs HEAD || return
  [ "$(restored symbolic-ref --quiet HEAD)" = "$(shadow_git symbolic-ref --quiet HEAD)" ] || differs HEAD || return
  [ "$(restored write-tree)" = "$(shadow_git rev-parse 'refs/kept/index^{tree}')" ] || differs 'the index' || return
  { echo none && restored for-each-ref --format='%(objectname) %(refname)' refs/kept; } >"$scratch/came"
  shadow_git for-each-ref --format='%(objectname) %(refname)' refs/kept | grep -vxF -f "$scratch/came" | while read -r id name; do
    # Commits on a remote need not be restored.
    left=$( { echo "$id"; cat "$S/elsewhere"; } | shadow_git_stdin rev-list --ignore-missing --stdin --count 2>/dev/null)
    [ "$left" = 0 ] || printf '%s\n' "$name"
  done >"$scratch/lost"
  [ ! -s "$scratch/lost" ] || differs "$(head -n 1 "$scratch/lost")" || return
  { echo none && restored for-each-ref --format='%(objectname) %(refname)' refs/heads; } >"$scratch/came"
  sed -n 's/^branch //p' "$S/message" | grep -vxF -f "$scratch/came" | while read -r id name; do
    [ "$(restored rev-parse --quiet --verify "$name")" = "$id" ] || ! restored cat-file -e "$id" || printf '%s\n' "$name"
  done >"$scratch/lost"
  [ ! -s "$scratch/lost" ] || differs "$(head -n 1 "$scratch/lost")" || return
  sed 's/ .*//' "$S/stashes" >"$scratch/stashes"
  restored log --walk-reflogs --format=%H refs/stash -- | cmp -s - "$scratch/stashes" || differs 'the list of stashes' || return
  [ -n "$tree" ] || return 0
  list_left_out || differs 'the working tree' || return
  [ ! -s "$scratch/left-out" ] || differs "$(head -n 1 "$scratch/left-out")" || return
  # Here and there: the very files of the commit that was packed.
  cd "$tree" && list_differing index.work || differs 'the working tree' || return
  [ ! -s "$scratch/differing" ] || changed "$(head -n 1 "$scratch/differing")" || return
  tree=$folder
  GIT_INDEX_FILE=$S/index.proof shadow_git read-tree refs/kept/work && cd "$tree" && list_differing index.proof || differs 'the working tree' || return
  [ ! -s "$scratch/differing" ] || differs "$(head -n 1 "$scratch/differing")" || return
  load_unit "${unit##*/}"
  cp "$S/changes" "$scratch/changes"
  collect_changes >"$scratch/report"
  cmp -s "$S/changes" "$scratch/changes" ||
    changed "$(sort "$S/changes" "$scratch/changes" | uniq -u | sed '1!d; s/^...//')"
}

prove_loose() { # LIST FOLDER FILE
  [ -e "$out/$3" ] || return 0
  original=$root
  [ "$1" = beside ] || original=$root${project:+/$project}
  if is_gnu_tar; then
    for folder in "$2" "$original"; do
      archive "$1" "$folder" "$scratch/again.tar" && cmp -s "$scratch/again.tar" "$out/$3" || differs_loose || return
    done
  else
    while IFS= read -r line; do
      decoded "$line"
      is_same "$2/$value" "$original/$value" || differs_loose || return
    done <"$scratch/$1"
  fi
}

prove_bare() {
  while IFS= read -r line; do
    decoded "$line"
    case $value in
      "${project:+$project/}"*) folder=$scratch/proof/project/${value#"${project:+$project/}"} ;;
      *) folder=$scratch/proof/beside/$value ;;
    esac
    where=$value
    is_git_folder "$folder" || differs 'the repository' || return
  done <"$scratch/bare"
}

is_same() { # FILE FILE
  if [ -L "$1" ] || [ -L "$2" ]; then
    [ "$(readlink "$1" && printf x)" = "$(readlink "$2" && printf x)" ]
  elif [ -f "$1" ]; then
    [ -f "$2" ] && cmp -s "$1" "$2" && { [ -x "$1" ] || ! [ -x "$2" ]; } && { ! [ -x "$1" ] || [ -x "$2" ]; }
  else
    [ -e "$1" ] && [ -e "$2" ]
  fi
}

differs_loose() {
  where=
  refuse 'files outside of any repository could not be proven to come back as they are'
}
