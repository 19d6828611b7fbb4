# shellcheck shell=sh disable=SC2154,SC2034
# Sourced by unsaved.sh and save_work.sh, the last of three: changes, files outside of repositories, and the report's lines.

# Writes changes as `XY PATH` lines into $S/changes.
collect_changes() {
  : >"$S/changes"
  [ -n "$tree" ] || return 0
  (cd "$tree" && shadow_git status --porcelain -z --no-renames --untracked-files=all --ignore-submodules=dirty) 2>"$scratch/errors" >"$S/status" ||
    { problem "${where:-.} cannot be looked into: $(tail -n 1 "$scratch/errors")"; return 0; }
  # A file that is not in the encoding of its attributes is compared without conversion.
  sed '/^hint: /d; /^error: failed to encode /d; /^error: BOM is /d' "$scratch/errors" >"$scratch/said"
  [ ! -s "$scratch/said" ] || problem "${where:-.}: $(tail -n 1 "$scratch/said")"
  # Repositories in it are searched separately.
  lines <"$S/status" | grep -vxF -f "$S/nested" >"$S/changes"
  grep '^?? .*/$' "$S/changes" | sed 's/^?? //; s|/$|: a damaged repository, which cannot be looked into|' | while IFS= read -r line; do
    decoded "$line"
    problem "${path:+$path/}$value"
  done
}

nested() {
  # Without any pattern some greps match every line.
  printf '?? /\n'
  for other in "$scratch"/unit/*/path; do
    [ "$other" != "$unit/path" ] && [ -e "${other%/path}/git" ] || continue
    stored "$other"
    [ -z "$path" ] || case $value in "$path"/*) value=${value#"$path/"} ;; *) continue ;; esac
    [ -z "$value" ] || printf '?? %s/\n' "$(encoded "$value")"
  done
}

# Lists folders that the Git of the surrounding repository ignores, and that are not working trees: those of submodules that
# are not checked out, and those that name a bare repository. Into $scratch/unlinked, below the root.
collect_unlinked() {
  if [ -z "$tree" ]; then
    [ ! -e "$unit/is-named" ] || [ -z "$path" ] || printf '%s\n' "$(encoded "$path")" >>"$scratch/unlinked"
    return
  fi
  prefix=$(encoded "${path:+$path/}")
  shadow_git ls-files --stage -z 2>/dev/null | lines | sed -n "s/^160000 [^$tab]*$tab//p" | while IFS= read -r line; do
    ! grep -qxF -e "?? $line/" "$S/nested" || continue
    decoded "$line"
    [ -L "$tree/$value" ] || [ ! -d "$tree/$value" ] || printf '%s%s\n' "$prefix" "$line"
  done >>"$scratch/unlinked"
}

# --- outside of repositories ----------------------------------------------------------------------------

# Sets the arguments of find that leave out caches and repositories; runs it in a folder below the root with the further
# arguments.
find_loose() { # FOLDER EXPRESSION...
  start=$1
  shift
  set -- \) -prune -o "$@"
  for name in $caches; do set -- -o -type d -name "$name" "$@"; done
  for file in "$scratch"/unit/*/path "$scratch"/unit/*/git "$scratch"/unit/*/common; do
    [ -e "$file" ] || continue
    stored "$file"
    case $file in
      */path)
        # A .git file that names a bare repository is meaningless without it.
        [ ! -e "${file%/path}/is-named" ] || value=${value:+$value/}.git
        [ -e "${file%/path}/has-tree" ] || [ -e "${file%/path}/is-named" ] || continue
        # The whole root is in one.
        [ -n "$value" ] || { [ "$start" != . ] || return 0; continue; }
        ;;
      *) case $value in "$root"/*) value=${value#"$root/"} ;; *) continue ;; esac ;;
    esac
    escaped "./$value"
    set -- -o -path "$value" "$@"
  done
  find "$start" \( -path ./.wsdash -o -path ./.wsdash-fetch "$@"
}

collect_loose() {
  find_loose . ! -type d ! -type s -print0 2>"$scratch/errors" | lines | sed 's|^\./||' >"$scratch/loose"
  : >"$scratch/submerged"
  while IFS= read -r line; do
    decoded "$line"
    find_loose "./$value" ! -type d ! -type s -print0 2>>"$scratch/errors" | lines | sed 's|^\./||'
  done <"$scratch/unlinked" >"$scratch/submerged"
  cat "$scratch/loose" "$scratch/submerged" | awk '!seen[$0]++' >"$scratch/all"
  mv "$scratch/all" "$scratch/loose"
  [ ! -s "$scratch/errors" ] || problem "$(tail -n 1 "$scratch/errors")"
}

# --- the report -----------------------------------------------------------------------------------------

print_list() { # WORD WORDS FILE
  total=$(($(wc -l <"$3")))
  [ "$total" -gt 0 ] || return 0
  head -n "$most_lines" "$3" | cut -c 1-1000 | sed "s/^/$1 /"
  printf '%s %s\n' "$2" "$total"
}

# A commit that one repository knows to be on a remote counts as saved for all that have it.
report_commits() {
  { sed 's/ .*//' "$S/tips"; cat "$scratch"/unit/*/shadow/elsewhere; reported_already; } >"$S/revisions"
  sed 's/ .*//' "$S/tips" "$S/stashes" | sort -u | shadow_git_stdin cat-file --batch-check 2>/dev/null | grep -q ' missing$' &&
    problem "${where:-.}: a commit is missing in it"
  total=$(shadow_git_stdin rev-list --ignore-missing --stdin --count <"$S/revisions" 2>"$scratch/errors") ||
    { problem "${where:-.} cannot be looked into: $(tail -n 1 "$scratch/errors")"; return 0; }
  [ "$total" -gt 0 ] || return 0
  shadow_git_stdin rev-list --ignore-missing --stdin --max-count="$most_lines" --format='%h %s' <"$S/revisions" 2>/dev/null |
    sed -n 'n;p' | cut -c 1-1000 | sed 's/^/commit /'
  printf 'commits %s\n' "$total"
  : >"$unit/has-commits"
}

# Commits that are reported for another working tree of the same repository, as `^ID` lines.
reported_already() {
  for other in "$scratch"/unit/*; do
    [ "$other" != "$unit" ] && [ -e "$other/reported" ] && cmp -s "$unit/common" "$other/common" &&
      sed 's/ .*//; s/^/^/' "$other/shadow/tips"
  done
}

collect_unit() { # NUMBER
  open_unit "$1" || return 0
  collect_tips
  collect_stashes
  collect_elsewhere
  : >"$unit/is-open"
}

report_unit() { # NUMBER
  load_unit "$1"
  [ -e "$unit/is-open" ] || return 0
  printf 'repository %s\n' "$(encoded "$where")"
  report_commits
  : >"$unit/reported"
  awk '{ n = NR - 1; sub(/^[0-9a-f]+ ?/, ""); print "stash@{" n "} " $0 }' "$S/stashes" >"$S/stash-names"
  print_list stash stashes "$S/stash-names"
  nested >"$S/nested"
  collect_unlinked
  # For a checkpoint, the project's own files are searched separately.
  [ -z "${others:-}" ] || [ "$path" != "$project" ] || return 0
  collect_changes
  print_list change changes "$S/changes"
}

# Prints a line that differs after any change to the report or to the saved files, including the content of a changed file.
# Fails if it cannot be computed.
print_state() {
  have sha256sum && list_state >"$scratch/state" || return
  hash=$(sha256sum <"$scratch/state") || return
  printf 'state %s\n' "${hash%% *}"
}

list_state() {
  nth=0
  while [ "$nth" -lt "$count" ] && [ "$nth" -lt "$most_repositories" ]; do
    nth=$((nth + 1))
    load_unit "$nth"
    [ -e "$unit/is-open" ] || continue
    printf 'repository %s\n' "$(encoded "$where")"
    cat "$S/HEAD" "$S/tips" "$S/stashes"
    [ -n "$tree" ] || continue
    # In another folder it lists only the files below that.
    cd "$tree" && shadow_git ls-files --stage -z && sed 's/^...//' "$S/changes" | list_contents || return
  done
  cd "$root" && list_contents <"$scratch/loose"
}

# Reads paths below this folder; prints the kind of each, and the hash of each file's content.
list_contents() {
  sed 's|^|./|' | tr '\012\001' '\000\012' >"$scratch/paths"
  : >"$scratch/regular"
  # shellcheck disable=SC2016
  xargs -0 sh -c '
    regular=$1
    shift
    for file do
      kind=other
      if [ -L "$file" ]; then
        kind="link $(readlink "$file" && echo .)"
      elif [ -f "$file" ]; then
        kind=file
        [ ! -x "$file" ] || kind=program
        printf "%s\0" "$file" >>"$regular"
      elif ! [ -e "$file" ]; then
        kind=none
      fi
      printf "%s %s\0" "$kind" "$file"
    done' sh "$scratch/regular" <"$scratch/paths"
  # A file that cannot be read is not saved either, and is reported as a problem.
  xargs -0 sha256sum -- /dev/null <"$scratch/regular" 2>/dev/null || :
}

size_ignored() {
  for unit in "$scratch"/unit/*; do
    [ -e "$unit/has-tree" ] && [ -e "$unit/shadow/HEAD" ] || continue
    S=$unit/shadow
    stored "$unit/path"
    tree=$root/$value
    cd "$tree" || continue
    shadow_git ls-files --others --ignored --exclude-standard -z 2>/dev/null | tr -dc '\000' | wc -c >>"$scratch/ignored"
    shadow_git ls-files --others --ignored --exclude-standard --directory -z 2>/dev/null |
      xargs -0 du -sk -- /dev/null 2>/dev/null | awk '{ n += $1 } END { print n + 0 }' >>"$scratch/sizes"
  done
  [ ! -e "$scratch/ignored" ] || printf 'ignored %s %s\n' "$(awk '{ n += $1 } END { print n + 0 }' "$scratch/ignored")" \
    "$(awk '{ n += $1 } END { print n + 0 }' "$scratch/sizes")"
}

size_home() {
  set --
  for folder in "$real_home" "${root%/*}/volumes"; do [ ! -d "$folder" ] || set -- "$@" "$folder"; done
  [ "$#" -gt 0 ] && have awk || return 0
  printf 'home %s %s\n' "$(find "$@" -type f -print0 2>/dev/null | tr -dc '\000' | wc -c)" \
    "$(du -sk -- "$@" 2>/dev/null | awk '{ n += $1 } END { print n + 0 }')"
}

report_all() {
  count=0
  : >"$scratch/loose"
  : >"$scratch/unlinked"
  for name in awk sed grep find xargs; do have "$name" || { problem "nothing can be looked into: there is no $name"; return 0; }; done
  find_repositories
  for act in collect_unit report_unit; do
    nth=0
    while [ "$nth" -lt "$count" ] && [ "$nth" -lt "$most_repositories" ]; do
      nth=$((nth + 1))
      "$act" "$nth"
      cd "$root" || return
    done
  done
  collect_loose
  print_list file files "$scratch/loose"
}
