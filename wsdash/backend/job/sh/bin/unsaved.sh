# shellcheck shell=sh disable=SC2154
# The definition of unsaved work: what somebody wrote below the projects folder and that exists only there.
#
# In each repository (nested ones, submodules, linked worktrees, and those whose .git file points elsewhere):
#   commits   reachable from HEAD, a worktree's HEAD, a branch, a tag, any other ref, or a rebase, merge, cherry-pick
#             or bisect that is going on, and from nothing that is known to be on a remote: what its remotes track, and
#             what came with a clone. A repository in this file system is a remote only where it is shown to outlive
#             the job (`judge`). Without a remote, all of them.
#   stashes   every entry
#   changes   to the index and the tree, and untracked files that the repository's own rules do not ignore
# and outside of repositories every file that is not in a folder of $caches; also in the folder of a submodule that is not
# there.
# Ignored files, the home folder and volumes are counted and sized; they are not unsaved work.
#
#   sh unsaved.sh list        with PROJECTS_ROOT and HOME. Says, a line each:
#     wsdash-unsaved 1            the beginning
#     repository PATH             what follows is in it; PATH is below PROJECTS_ROOT, and empty for that itself
#     commits|stashes|changes N   how many there are, and before them the first of them as
#     commit|stash|change TEXT
#     files N, file PATH          the same of files outside of repositories
#     problem TEXT                what could not be looked into, so that there may be more
#     complete                    all was looked into, or stands in a problem
#     ignored|home FILES KIB      no unsaved work
#   A newline within a name is said as the byte 1.
#
# No configuration of a repository is obeyed, and nothing of it is written: Git works in a repository beside it, a
# copy of its refs and index that borrows its objects.

caches='.cache node_modules __pycache__ .venv .tox .mypy_cache .pytest_cache .ruff_cache .gradle'
most_repositories=500
most_lines=100
soh=$(printf '\001')
tab=$(printf '\t')

have() {
  command -v "$1" >/dev/null 2>&1
}

# Nothing of the surroundings has a say in what Git does.
set_surroundings() {
  for name in $(env | sed -n 's/^\(GIT_[A-Za-z0-9_]*\)=.*/\1/p'); do unset "$name"; done
  unset CDPATH XDG_CONFIG_HOME
  real_home=${HOME:-}
  scratch=$(mktemp -d "${TMPDIR:-/tmp}/wsdash-unsaved.XXXXXX") || return
  trap 'rm -rf "$scratch"' EXIT
  trap 'exit 1' HUP INT TERM PIPE
  mkdir "$scratch/home" "$scratch/unit" || return
  export HOME="$scratch/home" LC_ALL=C GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1 GIT_ATTR_NOSYSTEM=1 \
    GIT_NO_REPLACE_OBJECTS=1 GIT_NO_LAZY_FETCH=1 GIT_ALLOW_PROTOCOL=none GIT_TERMINAL_PROMPT=0 GIT_PAGER=cat \
    GIT_AUTHOR_NAME=wsdash GIT_AUTHOR_EMAIL=wsdash GIT_AUTHOR_DATE='@0 +0000' \
    GIT_COMMITTER_NAME=wsdash GIT_COMMITTER_EMAIL=wsdash GIT_COMMITTER_DATE='@0 +0000'
}

# Names that end with NUL, one a line.
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

# As a file of alternates has it.
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

# For `find -path`, where a name may hold what would be a pattern.
escaped() {
  value=$(printf '%sx' "$1" | sed 's/[][*?\\]/\\&/g')
  value=${value%x}
}

# --- where the repositories are -------------------------------------------------------------------------

# Each as a folder unit/N: `path` (below the root) of the working tree, `git` and `common`, its folders.
find_repositories() {
  count=0
  : >"$scratch/gits"
  find . \( -path ./.wsdash -o -path ./.wsdash-fetch \) -prune -o -name .git -prune -print0 2>/dev/null | lines >"$scratch/found"
  # A folder before a file: the main working tree stands for all that its linked ones share. Last what is bare.
  for wanted in folder file bare; do
    while IFS= read -r line; do
      decoded "${line%/.git}"
      path=${value#.}
      path=${path#/}
      add_named
    done <"$scratch/found"
  done
  # Git folders that no working tree names any more: submodules of another branch, what is bare.
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

# The repository of ./$path/.git, where it is one of $wanted.
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

# The Git folder that a .git file stands for.
named_by() { # FILE
  line=$(head -n 1 "$1" | cut -c 1-4096)
  case $line in
    'gitdir: /'*) printf '%s' "${line#gitdir: }" ;;
    'gitdir: '*) printf '%s' "${1%/*}/${line#gitdir: }" ;;
    *) return 1 ;;
  esac
}

# Sets `folder` and `common`, which a linked working tree shares with others; fails where it is no repository's.
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

# A linked working tree is one whatever core.bare says of those that share it, and what has an index has one too.
has_tree() {
  [ "$folder" != "$common" ] || [ -f "$folder/index" ] || [ "$(setting "$common" bool core.bare)" != true ]
}

# What a repository says of itself. Files that it includes are not read.
setting() { # COMMON TYPE KEY
  [ -f "$1/config" ] && (cd "$scratch" && git config --file "$1/config" --type="$2" --get "$3" 2>/dev/null)
}

# --- a repository beside it -----------------------------------------------------------------------------

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
  S=$unit/beside
  where=$path
  [ -n "$tree" ] || where=${git_folder#"$root/"}
}

# Makes $S for the unit: `path`, `tree` (its working tree, or nothing), `git_folder`, `common`.
# Fails where that cannot be, and says so.
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
  # Bytes as they are, whatever the attributes of the project would make of them.
  echo '* -text -filter -ident -working-tree-encoding' >"$S/info/attributes"
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
  copy_index
  beside rev-parse --git-dir >/dev/null 2>"$scratch/said" || { problem "${where:-.} cannot be looked into: $(tail -n 1 "$scratch/said")"; return 1; }
}

# With its times, which spare looking into unchanged files and say which may have changed since.
copy_index() {
  [ -n "$tree" ] && [ -f "$git_folder/index" ] || return 0
  cp -p "$git_folder/index" "$S/index"
  for shared in "$git_folder"/sharedindex.*; do [ ! -f "$shared" ] || cp -p "$shared" "$S/"; done
  overlook_nothing
  return 0
}

# A file that its user told Git not to look at may have changed all the same. One that a sparse checkout leaves out is
# not there.
overlook_nothing() {
  beside ls-files -v -z 2>/dev/null | lines | sed -n '/^[a-zS] /p' >"$scratch/overlooked"
  sed -n 's/^[a-z] //p' "$scratch/overlooked" | tr '\012\001' '\000\012' >"$scratch/assumed"
  [ ! -s "$scratch/assumed" ] || fed update-index -z --no-assume-unchanged --stdin <"$scratch/assumed" 2>/dev/null
  sed -n 's/^[sS] //p' "$scratch/overlooked" | tr '\012\001' '\000\012' >"$scratch/skipped"
  [ -s "$scratch/skipped" ] || return 0
  # shellcheck disable=SC2016
  (cd "$tree" && xargs -0 sh -c 'for f do if [ -e "$f" ] || [ -L "$f" ]; then printf "%s\0" "$f"; fi; done' sh <"$scratch/skipped") |
    fed update-index -z --no-skip-worktree --stdin 2>/dev/null
}

beside() {
  fed "$@" </dev/null
}

# The same, and it reads standard input.
fed() {
  git --git-dir="$S" ${tree:+--work-tree="$tree"} -c core.hooksPath=/dev/null -c core.fsmonitor=false -c gc.auto=0 \
    -c core.quotePath=false -c core.warnAmbiguousRefs=false -c pack.threads=1 "$@"
}

# Tips as `ID NAME` lines into $S/tips.
collect_tips() {
  : >"$S/tips"
  ! head=$(beside rev-parse --quiet --verify 'HEAD^{commit}') || printf '%s HEAD\n' "$head" >>"$S/tips"
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
    beside for-each-ref --format='%(objectname) %(refname)' 2>"$scratch/said" |
      grep -v '^[0-9a-f]* refs/\(remotes/\|prefetch/\|wsdash/\|stash$\)' >>"$S/tips"
    [ ! -s "$scratch/said" ] || problem "${where:-.}: $(tail -n 1 "$scratch/said")"
    for file in "$common"/worktrees/*/HEAD; do
      [ -f "$file" ] || continue
      id=$(head -n 1 "$file" | grep -x '[0-9a-f]\{40,64\}') || continue
      printf '%s worktrees/%s\n' "$id" "$(wc -l <"$S/tips" | tr -d ' ')" >>"$S/tips"
    done
  fi
}

# Every stash as `ID MESSAGE`, newest first, into $S/stashes.
collect_stashes() {
  : >"$S/stashes"
  [ -n "$is_first" ] || return 0
  id=$(beside rev-parse --quiet --verify refs/stash) || return 0
  if [ -f "$common/logs/refs/stash" ]; then
    sed -n "s/^[0-9a-f]* \([0-9a-f]\{40,64\}\) [^$tab]*$tab\{0,1\}/\1 /p" "$common/logs/refs/stash" | sed '1!G;h;$!d' >"$S/stashes"
  fi
  [ -s "$S/stashes" ] || printf '%s stash\n' "$id" >"$S/stashes"
}

# --- what is on a remote --------------------------------------------------------------------------------

# Places that others than the job may clear, and some of which it has for itself.
passing='/tmp /var/tmp /dev /run /proc'

# As `^ID` lines into $S/elsewhere: what a remote-tracking ref names, or came with a clone, where that remote outlives
# the job. Of one on this machine only what it really holds.
collect_elsewhere() {
  : >"$S/sure"
  : >"$S/likely"
  : >"$S/lent"
  judge_remotes >"$S/remotes"
  if grep -qv '^nowhere' "$S/remotes"; then
    beside for-each-ref --format='%(objectname) %(refname)' refs/remotes | tracked >"$scratch/tracked"
    sed -n 's/^far //p' "$scratch/tracked" >>"$S/sure"
    sed -n 's/^here //p' "$scratch/tracked" >>"$S/likely"
    for file in "$common/logs/HEAD" "$git_folder/logs/HEAD"; do
      [ ! -f "$file" ] || sed -n "s/^[0-9a-f]* \([0-9a-f]*\) .*${tab}clone: from /\1 /p" "$file"
    done | while read -r id url; do
      echo "$id" | came_from "$url"
    done
    # As long as it is that of the clone, its tags came with it.
    file=$common/logs/refs/remotes/origin/HEAD
    # shellcheck disable=SC3013  # every shell that may be here has -nt
    if [ -f "$common/packed-refs" ] && [ -f "$file" ] && ! [ "$common/packed-refs" -nt "$file" ]; then
      sed -n 's|^\([0-9a-f]*\) refs/tags/.*|\1|p' "$common/packed-refs" | came_from "$(sed -n "1s/.*${tab}clone: from //p" "$file")"
    fi
    file=$common/wsdash-fetched
    [ ! -f "$file" ] || grep -x '[0-9a-f]\{40,64\}' "$file" | came_from "$(sed -n '1s/^source //p' "$file")"
  fi
  { cat "$S/sure" && held_here; } | sed -n 's/^[0-9a-f]\{40,64\}$/^&/p' | sort -u >"$S/elsewhere"
}

# What each remote fetches, as `VERDICT DESTINATION`, the worst of all its addresses; and each once without.
judge_remotes() {
  : >"$scratch/configured"
  [ ! -f "$common/config" ] || (cd "$scratch" && git config --file "$common/config" -z --get-regexp \
    '^((svn-)?remote\..*\.(url|pushurl|fetch|branches|tags)|url\..*\.(push)?insteadof)$' 2>/dev/null) | lines >"$scratch/configured"
  # shellcheck disable=SC2094  # nothing is written there
  while IFS= read -r line; do
    case $line in *"$soh"*) ;; *) continue ;; esac
    key=${line%%"$soh"*}
    decoded "${line#*"$soh"}"
    case $key in
      url.*) ;;
      *.url | *.pushurl)
        judge "$value"
        printf 'judged\t%s\t%s\n' "$verdict" "${key%.*}"
        url=$value
        grep '^url\.' "$scratch/configured" | while IFS= read -r line; do
          decoded "${line#*"$soh"}"
          line=${line%%"$soh"*}
          line=${line#url.}
          case $url in
            "$value"*)
              judge "${line%.*}${url#"$value"}"
              printf 'judged\t%s\t%s\n' "$verdict" "${key%.*}"
              ;;
          esac
        done
        ;;
      *) printf 'to\t%s\t%s\n' "${value##*:}" "${key%.*}" ;;
    esac
  done <"$scratch/configured" | awk -F '\t' '
    BEGIN { rank["far"] = 1; rank["here"] = 2; rank["unseen"] = 3; rank["nowhere"] = 4 }
    $1 == "judged" { if (rank[$2] > rank[worst[$3]]) worst[$3] = $2 }
    $1 == "to" { to[++count] = $2; of[count] = $3 }
    END {
      for (i = 1; i <= count; i++) print (of[i] in worst ? worst[of[i]] : "nowhere") "\t" to[i]
      for (name in worst) print worst[name] "\t"
    }'
}

# Of `ID REF` lines those that a remote has fetched, as `far ID` and `here ID`. A ref that several may have made is
# believed where all of them are.
tracked() {
  awk -F '\t' '
    function fits(ref, to, star, before, after) {
      star = index(to, "*")
      if (!star) return ref == to
      before = substr(to, 1, star - 1)
      after = substr(to, star + 1)
      return length(ref) >= length(to) && index(ref, before) == 1 && substr(ref, length(ref) - length(after) + 1) == after
    }
    NR == FNR { verdict[NR] = $1; to[NR] = $2; count = NR; next }
    {
      id = $0
      sub(/ .*/, "", id)
      found = ""
      for (i = 1; i <= count; i++) {
        if (!fits(substr($0, length(id) + 2), to[i])) continue
        if (verdict[i] != "far" && verdict[i] != "here") { found = "doubtful"; break }
        if (found == "" || verdict[i] == "here") found = verdict[i]
      }
      print found " " id
    }' "$S/remotes" -
}

# IDs that came with a clone from there.
came_from() { # URL
  judge "$1"
  case $verdict in
    far | unseen) cat >>"$S/sure" ;;
    here) cat >>"$S/likely" ;;
    *) cat >/dev/null ;;
  esac
}

# Sets `verdict` of what a URL names:
#   far      on another machine
#   here     a repository that outlives the job, and can be looked into: its objects go into $S/lent
#   unseen   the source of the workspace, which is there but cannot be seen from here: no job can push to it either
#   nowhere  not there, this repository itself, or one that goes with the job, or may
# WSDASH_SOURCE is the source of the workspace where that is a folder that outlives it; WSDASH_MACHINE says that the
# paths are those of a machine, and no container's.
judge() { # URL
  verdict=nowhere
  case $1 in
    '' | ext::* | fd::*) return 0 ;;
    file://*) there=/${1#file://*/} ;;
    *://* | *::*) verdict=far ;;
    *)
      there=$1
      case ${1%%/*} in *:*) verdict=far ;; esac
      ;;
  esac
  [ "$verdict" = nowhere ] || return 0
  is_source=
  [ "$1" != "${WSDASH_SOURCE:-}" ] || is_source=yes
  there=$(cd -P -- "${tree:-$common}" 2>/dev/null && enter_repository "$there" && printf '%sx' "$common")
  if [ -z "$there" ]; then
    [ -z "$is_source" ] || verdict=unseen
    return 0
  fi
  there=${there%x}/objects
  if [ "$there" = "$common/objects" ] || [ -z "$is_source${WSDASH_MACHINE:-}" ] || ! outlives "$there" 5; then return 0; fi
  verdict=here
  quoted "$there" >>"$S/lent"
}

# As Git finds it. Sets `folder` and `common`.
enter_repository() { # PATH
  for suffix in /.git '' .git/.git .git; do
    at=$1$suffix
    [ ! -f "$at" ] || at=$(named_by "$at") || continue
    ! enter_git_folder "$at" || return 0
  done
  return 1
}

# Whether neither these objects nor what they borrow are the job's own, or in a place that passes. Who names a source
# there knows.
outlives() { # OBJECTS DEPTH
  at=$(cd -P -- "$1" 2>/dev/null && pwd -P) && [ "$2" -gt 0 ] || return
  set -- "$at" "$2"
  for own in "${root%/*}" "$root" "$real_home" $passing "${TMPDIR:-}"; do
    case $is_source:$own in yes:/tmp | yes:/var/tmp | yes:"${TMPDIR:-}") continue ;; esac
    own=$(cd -P -- "${own:-$root}" 2>/dev/null && pwd -P) || continue
    case $1/ in "${own%/}"/*) return 1 ;; esac
  done
  [ -f "$1/info/alternates" ] || return 0
  (
    cd "$1" && while IFS= read -r line; do
      case $line in '' | '#'*) ;; *) outlives "$line" $(($2 - 1)) || exit 1 ;; esac
    done <info/alternates
  )
}

# Of $S/likely what is among the objects of those in $S/lent, and in no others.
held_here() {
  [ -s "$S/likely" ] || return 0
  mkdir -p "$S/lasting/objects/info" "$S/lasting/refs" || return
  cp "$S/lent" "$S/lasting/objects/info/alternates"
  echo 'ref: refs/heads/none' >"$S/lasting/HEAD"
  printf '[core]\n\trepositoryformatversion = 1\n[extensions]\n\tobjectformat = %s\n' "$(beside rev-parse --show-object-format)" >"$S/lasting/config"
  sort -u "$S/likely" | (cd "$scratch" && git --git-dir="$S/lasting" cat-file --batch-check='%(objectname)' 2>/dev/null)
}

# Changes as `XY PATH` lines into $S/changes.
collect_changes() {
  : >"$S/changes"
  [ -n "$tree" ] || return 0
  (cd "$tree" && beside status --porcelain -z --no-renames --untracked-files=all --ignore-submodules=dirty) 2>"$scratch/said" >"$S/status" ||
    { problem "${where:-.} cannot be looked into: $(tail -n 1 "$scratch/said")"; return 0; }
  [ ! -s "$scratch/said" ] || problem "${where:-.}: $(tail -n 1 "$scratch/said")"
  # Repositories in it are looked into by themselves.
  lines <"$S/status" | grep -vxF -f "$S/nested" >"$S/changes"
  grep '^?? .*/$' "$S/changes" | sed 's/^?? //; s|/$|: a damaged repository, which cannot be looked into|' | while IFS= read -r line; do
    decoded "$line"
    problem "${path:+$path/}$value"
  done
}

nested() {
  # Without any pattern some greps take every line.
  printf '?? /\n'
  for other in "$scratch"/unit/*/path; do
    [ "$other" != "$unit/path" ] && [ -e "${other%/path}/git" ] || continue
    stored "$other"
    [ -z "$path" ] || case $value in "$path"/*) value=${value#"$path/"} ;; *) continue ;; esac
    [ -z "$value" ] || printf '?? %s/\n' "$(encoded "$value")"
  done
}

# Folders at which the Git of the repository around them does not look, and that are no working tree: those of submodules
# that are not there, and those that name a bare repository. Into $scratch/unlinked, below the root.
collect_unlinked() {
  if [ -z "$tree" ]; then
    [ ! -e "$unit/is-named" ] || [ -z "$path" ] || printf '%s\n' "$(encoded "$path")" >>"$scratch/unlinked"
    return
  fi
  prefix=$(encoded "${path:+$path/}")
  beside ls-files --stage -z 2>/dev/null | lines | sed -n "s/^160000 [^$tab]*$tab//p" | while IFS= read -r line; do
    ! grep -qxF -e "?? $line/" "$S/nested" || continue
    decoded "$line"
    [ -L "$tree/$value" ] || [ ! -d "$tree/$value" ] || printf '%s%s\n' "$prefix" "$line"
  done >>"$scratch/unlinked"
}

# --- outside of repositories ----------------------------------------------------------------------------

# Sets the arguments of find that leave out caches and repositories; runs it in a folder below the root with those that
# follow.
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
        # What names a bare repository says nothing without it.
        [ ! -e "${file%/path}/is-named" ] || value=${value:+$value/}.git
        [ -e "${file%/path}/has-tree" ] || [ -e "${file%/path}/is-named" ] || continue
        # All of the root is in one.
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
  find_loose . ! -type d ! -type s -print0 2>"$scratch/said" | lines | sed 's|^\./||' >"$scratch/loose"
  : >"$scratch/submerged"
  while IFS= read -r line; do
    decoded "$line"
    find_loose "./$value" ! -type d ! -type s -print0 2>>"$scratch/said" | lines | sed 's|^\./||'
  done <"$scratch/unlinked" >"$scratch/submerged"
  cat "$scratch/loose" "$scratch/submerged" | awk '!seen[$0]++' >"$scratch/all"
  mv "$scratch/all" "$scratch/loose"
  [ ! -s "$scratch/said" ] || problem "$(tail -n 1 "$scratch/said")"
}

# --- telling --------------------------------------------------------------------------------------------

tell() { # WORD WORDS FILE
  total=$(($(wc -l <"$3")))
  [ "$total" -gt 0 ] || return 0
  head -n "$most_lines" "$3" | cut -c 1-1000 | sed "s/^/$1 /"
  printf '%s %s\n' "$2" "$total"
}

# What one repository knows to be on a remote is there for all that hold the same commit.
tell_commits() {
  { sed 's/ .*//' "$S/tips"; cat "$scratch"/unit/*/beside/elsewhere; told_already; } >"$S/revisions"
  sed 's/ .*//' "$S/tips" "$S/stashes" | sort -u | fed cat-file --batch-check 2>/dev/null | grep -q ' missing$' &&
    problem "${where:-.}: a commit is missing in it"
  total=$(fed rev-list --ignore-missing --stdin --count <"$S/revisions" 2>"$scratch/said") ||
    { problem "${where:-.} cannot be looked into: $(tail -n 1 "$scratch/said")"; return 0; }
  [ "$total" -gt 0 ] || return 0
  fed rev-list --ignore-missing --stdin --max-count="$most_lines" --format='%h %s' <"$S/revisions" 2>/dev/null |
    sed -n 'n;p' | cut -c 1-1000 | sed 's/^/commit /'
  printf 'commits %s\n' "$total"
  : >"$unit/has-commits"
}

# What was told of another working tree of the same repository, as `^ID` lines.
told_already() {
  for other in "$scratch"/unit/*; do
    [ "$other" != "$unit" ] && [ -e "$other/told" ] && cmp -s "$unit/common" "$other/common" &&
      sed 's/ .*//; s/^/^/' "$other/beside/tips"
  done
}

collect_unit() { # NUMBER
  open_unit "$1" || return 0
  collect_tips
  collect_stashes
  collect_elsewhere
  : >"$unit/is-open"
}

tell_unit() { # NUMBER
  load_unit "$1"
  [ -e "$unit/is-open" ] || return 0
  printf 'repository %s\n' "$(encoded "$where")"
  tell_commits
  : >"$unit/told"
  awk '{ n = NR - 1; sub(/^[0-9a-f]+ ?/, ""); print "stash@{" n "} " $0 }' "$S/stashes" >"$S/told"
  tell stash stashes "$S/told"
  nested >"$S/nested"
  collect_unlinked
  # For a checkpoint the project's own are looked at by other means.
  [ -z "${others:-}" ] || [ "$path" != "$project" ] || return 0
  collect_changes
  tell change changes "$S/changes"
}

size_ignored() {
  for unit in "$scratch"/unit/*; do
    [ -e "$unit/has-tree" ] && [ -e "$unit/beside/HEAD" ] || continue
    S=$unit/beside
    stored "$unit/path"
    tree=$root/$value
    cd "$tree" || continue
    beside ls-files --others --ignored --exclude-standard -z 2>/dev/null | tr -dc '\000' | wc -c >>"$scratch/ignored"
    beside ls-files --others --ignored --exclude-standard --directory -z 2>/dev/null |
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

list() {
  printf 'wsdash-unsaved 1\n'
  # Before its first start a workspace has no folder.
  [ -e "$PROJECTS_ROOT" ] || { printf 'complete\n'; return 0; }
  root=$(cd -P -- "$PROJECTS_ROOT" 2>/dev/null && pwd -P) || root=
  if [ -z "$root" ] || ! cd "$root"; then
    problem 'the projects folder cannot be read'
    return 0
  fi
  set_surroundings || { problem 'there is no room to look'; printf 'complete\n'; return 0; }
  tell_all
  printf 'complete\n'
  size_ignored
  size_home
}

tell_all() {
  count=0
  : >"$scratch/loose"
  : >"$scratch/unlinked"
  for name in awk sed grep find xargs; do have "$name" || { problem "nothing can be looked into: there is no $name"; return 0; }; done
  find_repositories
  for act in collect_unit tell_unit; do
    nth=0
    while [ "$nth" -lt "$count" ] && [ "$nth" -lt "$most_repositories" ]; do
      nth=$((nth + 1))
      "$act" "$nth"
      cd "$root" || return
    done
  done
  collect_loose
  tell file files "$scratch/loose"
}

# save_work.sh, which may follow, makes use of all of this.
[ "${1:-}" != list ] || list
