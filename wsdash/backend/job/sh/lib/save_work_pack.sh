# shellcheck shell=sh disable=SC2154,SC2034
# Sourced by save_work.sh, and by checkpoint_others.sh for unsaved work outside the project's own repository.

complete_kib=32768
most_kib=1040000
out=

refuse() {
  problem "$1"
  return 1
}

pack() { # PROJECT
  printf 'wsdash-kept 1\n'
  project=$1
  [ -e "$PROJECTS_ROOT" ] || { printf 'data\n\nwsdash-kept\n'; return 0; }
  root=$(cd -P -- "$PROJECTS_ROOT" 2>/dev/null && pwd -P) || root=
  if [ -z "$root" ] || ! cd "$root"; then refuse 'the projects folder cannot be read'; return; fi
  set_surroundings || refuse 'there is no space to work in' || return
  out=$scratch/out
  umask 077
  mkdir "$out" && restore_script >"$out/restore.sh" || refuse 'there is no space to work in' || return
  report_all >"$scratch/report"
  ! grep '^problem ' "$scratch/report" || return
  print_state || refuse 'there is no sha256sum' || return
  pack_all && prove_all || return
  # The receiver has the script itself.
  rm "$out/restore.sh"
  kib=$(du -sk "$out" | { read -r kib _ && printf '%s' "$kib"; })
  [ "$kib" -le "$most_kib" ] || refuse "it takes $((kib / 1024)) MiB, which is more than can be kept so; wsdash export takes more" || return
  cd "$out" || return
  for file in *; do
    [ -e "$file" ] || continue
    hash=$(sha256sum <"$file") || refuse 'there is no sha256sum' || return
    printf 'file %s %s %s\n' "$file" "$(($(wc -c <"$file")))" "${hash%% *}"
  done
  printf 'data\n'
  for file in *; do [ ! -e "$file" ] || cat "$file"; done
  printf '\nwsdash-kept\n'
}

pack_others() {
  project=$1
  out=$2
  others=yes
  root=$(cd -P -- "$PROJECTS_ROOT" 2>/dev/null && pwd -P) && cd "$root" && set_surroundings || return
  umask 077
  report_all >"$scratch/report"
  pack_all >>"$scratch/report" || return
  kib=$(du -sk "$out" | { read -r kib _ && printf '%s' "$kib"; })
  if [ "$kib" -gt "$3" ]; then
    rm -f "$out"/*
    return 1
  fi
  ! grep -q '^problem ' "$scratch/report"
}

pack_all() {
  bundles=0
  : >"$scratch/order"
  nth=0
  while [ "$nth" -lt "$count" ]; do
    nth=$((nth + 1))
    load_unit "$nth"
    [ -z "${others:-}" ] || [ -z "$tree" ] || [ "$path" != "$project" ] || continue
    [ -e "$unit/has-commits" ] || [ -s "$S/stashes" ] || [ -s "$S/changes" ] || continue
    set_home
    printf '%s\t%s\n' "$(encoded "$home")" "$nth" >>"$scratch/order"
  done
  # A folder before its contents.
  sort "$scratch/order" >"$scratch/sorted"
  while IFS= read -r line; do
    load_unit "${line##*"$tab"}"
    place=${line%"$tab"*}
    name_unit
    pack_unit || return
    cd "$root" || return
  done <"$scratch/sorted"
  pack_loose
}

# Sets `home`, the folder to restore it to: a repository without a working tree gets one, next to the one it belongs to.
set_home() {
  home=$path
  [ -z "$tree" ] || return 0
  case $where in
    /* | .git | .git/*) above=$path ;;
    */.git | */.git/*)
      above=$where/
      above=${above%%/.git/*}
      ;;
    */*) above=${where%/*} ;;
    *) above= ;;
  esac
  name=${git_folder##*/}
  name=${name%.git}
  home=${above:+$above.}git-folders/$nth${name:+-${name#.}}
}

# Sets `file` and `place`, the folder within its section, from `place` below the root.
name_unit() {
  bundles=$((bundles + 1))
  file=beside-$bundles.bundle
  if [ -z "$project" ]; then
    file=repository-$bundles.bundle
    [ -n "$place" ] || file=work.bundle
  elif [ "$place" = "$project" ]; then
    file=work.bundle
    place=
  else
    case $place in "$project"/*) file=repository-$bundles.bundle; place=${place#"$project/"} ;; esac
  fi
  format=$(shadow_git rev-parse --show-object-format)
  printf '%s\t%s\t./%s/\n' "$file" "$format" "$place" >>"$out/contents"
  printf '%s' "$file" >"$unit/file"
  printf '%s' "$place" >"$unit/place"
}

# Prints the id of a commit of the tree in an index, or nothing.
tree_commit() { # INDEX MESSAGE_FILE [PARENT]
  made=$(GIT_INDEX_FILE=$1 shadow_git write-tree 2>"$scratch/errors") || return
  shadow_git_stdin commit-tree "$made" ${3:+-p "$3"} <"$2" 2>"$scratch/errors"
}

pack_unit() {
  head=$(sed -n 's/ HEAD$//p' "$S/tips")
  for index in index.staged index.work; do [ ! -f "$S/index" ] || cp -p "$S/index" "$S/$index"; done
  if [ -n "$tree" ]; then
    cd "$tree" || refuse "${where:-.} cannot be entered" || return
    compare_as bytes
    # What is gone first: a folder may have its place, which --remove would take for the file.
    for names in gone there; do
      awk -v names="$names" '(/^([MARCT]D| D|D ) / ? "gone" : "there") == names { print substr($0, 4) }' "$S/changes" |
        tr '\012\001' '\000\012' >"$scratch/$names"
    done
    GIT_INDEX_FILE=$S/index.work shadow_git_stdin update-index -z --force-remove --stdin <"$scratch/gone" 2>"$scratch/errors" &&
      GIT_INDEX_FILE=$S/index.work shadow_git_stdin update-index -z --add --remove --replace --stdin <"$scratch/there" 2>"$scratch/errors" ||
      refuse "${where:-.}: $(tail -n 1 "$scratch/errors")" || return
    # Unmerged files of a merge are saved as they are in the tree.
    shadow_git ls-files -z --unmerged 2>/dev/null | lines | sed "s/^[^$tab]*$tab//" | tr '\012\001' '\000\012' >"$scratch/paths"
    [ ! -s "$scratch/paths" ] || GIT_INDEX_FILE=$S/index.staged shadow_git_stdin update-index -z --add --remove --replace --stdin <"$scratch/paths" 2>/dev/null
    compare_as git
  fi
  # Without a working tree, as if every file were unchanged.
  if [ -z "$tree" ] && [ -n "$head" ]; then
    for index in index.staged index.work; do
      GIT_INDEX_FILE=$S/$index shadow_git read-tree "$head" 2>"$scratch/errors" || refuse "${where:-.}: $(tail -n 1 "$scratch/errors")" || return
    done
  fi
  echo index >"$scratch/message"
  staged=$(tree_commit "$S/index.staged" "$scratch/message" "$head") || refuse "${where:-.}: $(tail -n 1 "$scratch/errors")" || return
  {
    printf 'head %s\ncommit %s\n' "$(shadow_git symbolic-ref --quiet HEAD || printf '%s' "$head")" "$head"
    if [ -e "$unit/is-first" ]; then
      shadow_git for-each-ref --format='branch %(objectname) %(refname)' refs/heads
    elif [ -n "$head" ] && name=$(shadow_git symbolic-ref --quiet HEAD); then
      printf 'branch %s %s\n' "$head" "$name"
    fi
  } >"$S/message"
  work=$(tree_commit "$S/index.work" "$S/message" "$head") || refuse "${where:-.}: $(tail -n 1 "$scratch/errors")" || return
  {
    printf 'create refs/kept/index %s\ncreate refs/kept/work %s\n' "$staged" "$work"
    while read -r id name; do
      case $name in
        HEAD) name="head" ;;
        refs/heads/* | refs/tags/*) name=${name#refs/} ;;
        refs/*) name=other/${name#refs/} ;;
      esac
      printf 'create refs/kept/%s %s\n' "$name" "$id"
    done <"$S/tips"
    awk '{ print "create refs/kept/stash/" NR - 1 " " $1 }' "$S/stashes"
  } | shadow_git_stdin update-ref --stdin 2>"$scratch/errors" || refuse "${where:-.}: $(tail -n 1 "$scratch/errors")" || return
  bundle || refuse "${where:-.}: its commits cannot be packed: $(tail -n 1 "$scratch/errors")"
}

bundle() {
  kib=$(du -sk "$common/objects" 2>/dev/null | { read -r kib _ && printf '%s' "$kib"; })
  if [ ! -e "$S/shallow" ] && { [ "${kib:-0}" -le "$complete_kib" ] || [ ! -s "$S/elsewhere" ]; }; then
    shadow_git bundle create --quiet "$out/$file" --glob=refs/kept 2>"$scratch/errors" && return
  fi
  { shadow_git for-each-ref --format='%(refname)' refs/kept && cat "$S/elsewhere"; } |
    shadow_git_stdin bundle create --quiet "$out/$file" --ignore-missing --stdin 2>"$scratch/errors"
}

# --- files outside of repositories ----------------------------------------------------------------------

pack_loose() {
  find_hollow
  # For a checkpoint, the project's own files are searched separately.
  files=loose
  [ -z "${others:-}" ] || files=submerged
  cat "$scratch/$files" "$scratch/hollow" | of_part within >"$scratch/within"
  cat "$scratch/loose" "$scratch/hollow" | of_part beside >"$scratch/beside"
  archive within "$root${project:+/$project}" "$out/files.tar" && archive beside "$root" "$out/beside.tar"
}

# Prints, of paths below the root, those in the project, relative to it, or those outside it.
of_part() { # within|beside
  part=$1 start=$(encoded "${project:+$project/}") awk '
    BEGIN { within = ENVIRON["part"] == "within"; start = ENVIRON["start"] }
    (index($0, start) == 1 || start == "") == within { print within ? substr($0, length(start) + 1) : $0 }'
}

# Lists bare repositories among saved files in $scratch/bare, and their empty folders, without which they are invalid,
# in $scratch/hollow.
find_hollow() {
  : >"$scratch/hollow"
  : >"$scratch/bare"
  cat "$scratch/loose" >"$scratch/kept"
  for unit in "$scratch"/unit/*; do
    [ -e "$unit/has-tree" ] && [ -s "$unit/shadow/changes" ] || continue
    stored "$unit/path"
    line=$(encoded "${value:+$value/}")
    sed 's/^...//' "$unit/shadow/changes" | start=$line awk '{ print ENVIRON["start"] $0 }' >>"$scratch/kept"
  done
  find . -name .git -prune -o -type d -name refs -print0 2>/dev/null | lines | sed -n 's|^\./\(.*\)/refs$|\1|p' >"$scratch/candidates"
  while IFS= read -r line; do
    decoded "$line"
    if ! is_kept_here || [ ! -d "./$value/objects" ] || ! is_git_folder "$root/$value"; then continue; fi
    printf '%s\n' "$line" >>"$scratch/bare"
    find "./$value" -type d -print0 | lines >"$scratch/folders"
    # All files in folders, then all folders.
    find "./$value" -print0 | lines | sed 's|/[^/]*$||' | awk 'NR == FNR { full[$0]; next } !($0 in full)' - "$scratch/folders" |
      sed 's|^\./||' >>"$scratch/hollow"
  done <"$scratch/candidates"
}

# For a checkpoint it is unknown which of the project's own files are ignored.
is_kept_here() {
  ! grep -qxF -e "$line/HEAD" "$scratch/kept" || return 0
  [ -n "${others:-}" ] && ! grep -qxF -e "$(encoded "$root/$value")" "$scratch/gits" || return
  case $value in "${project:+$project/}"*) ;; *) return 1 ;; esac
}

# Decides it as Git does, without reading its configuration.
is_git_folder() {
  (cd "$scratch" && git rev-parse --resolve-git-dir "$1") >/dev/null 2>&1
}

is_gnu_tar() {
  tar --version 2>/dev/null | grep -q GNU
}

# Adds the names that exist: a pattern without a match stays as it is.
tar_all() { # ARCHIVE NAME...
  archive=$1
  shift
  for name in "$@"; do
    shift
    if [ -e "$name" ] || [ -L "$name" ]; then set -- "$@" "$name"; fi
  done
  tar -cf "$archive" "$@"
}

# GNU tar makes the same bytes of the same files, so that two archives can be compared. Other tars accept no list of arbitrary
# names, so they get a folder with just these files.
archive() { # LIST FOLDER FILE
  [ -s "$scratch/$1" ] || return 0
  cd "$2" || return
  if is_gnu_tar; then
    sed 's|^|./|' "$scratch/$1" | tr '\012\001' '\000\012' >"$scratch/names"
    tar --numeric-owner --owner=0 --group=0 --no-recursion --null -cf "$3" -T "$scratch/names" 2>"$scratch/errors"
  else
    rm -rf "$scratch/mirror"
    umask 022
    while IFS= read -r line; do
      decoded "./$line"
      if [ -d "$value" ] && ! [ -L "$value" ]; then
        mkdir -p "$scratch/mirror/$value" || return
      else
        mkdir -p "$scratch/mirror/${value%/*}" && cp -P -p "$value" "$scratch/mirror/$value" || return
      fi
    done <"$scratch/$1" 2>"$scratch/errors" && (cd "$scratch/mirror" && set -- "$3" ./* ./.[!.]* ./..?* && tar_all "$@") 2>"$scratch/errors"
  fi || refuse "files cannot be kept: $(tail -n 1 "$scratch/errors")"
}
