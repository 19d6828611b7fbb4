#!/bin/sh
# Restores the work that `wsdash delete --keep-work` has saved in the folder of this script.
#
#   sh restore.sh          into the current folder, a fresh clone of the project (or an empty folder, if the bundles are
#                          complete): the project and all of its files
#   sh restore.sh beside   into the current folder, an empty one: the files next to the project
#
# Branches, tags, HEAD, the index, the working tree and stashes are restored as they were. A branch that has new commits
# elsewhere stays as it is, and that of the workspace becomes kept/BRANCH. Everything is also available as refs/kept/*.
#
# Next to this script: contents (each bundle, its object format and its folder, with a newline written as the
# byte 1), the bundles, and files.tar and beside.tar, files outside of any repository. Needs git and tar.

kept=$(cd -- "$(dirname -- "$0")" && pwd) || exit
umask 022
unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES GIT_COMMITTER_DATE CDPATH
scratch=$(mktemp -d) || exit
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' HUP INT TERM
status=0

complain() {
  printf '%s: %s\n' "${place:-.}" "$1" >&2
  status=1
  return 1
}

# Runs git in the repository of `folder`, without its hooks.
in_place() {
  git -C "$folder" -c core.hooksPath=/dev/null -c gc.auto=0 -c maintenance.auto=0 -c advice.detachedHead=false -c core.warnAmbiguousRefs=false "$@"
}

# Refuses folders outside the current one, and symbolic links.
check_place() {
  case /$place/ in //?* | */../* | */./* | */.[gG][iI][tT]/*) complain 'is not a folder to restore into' || return ;; esac
  rest=$place
  sofar=.
  while [ -n "$rest" ]; do
    sofar=$sofar/${rest%%/*}
    [ ! -L "$sofar" ] || complain "$sofar is a symbolic link" || return
    case $rest in */*) rest=${rest#*/} ;; *) rest= ;; esac
  done
}

make_repository() { # ARGUMENT...
  [ "$object_format" = sha1 ] || set -- "--object-format=$object_format" "$@"
  git init --quiet "$@"
}

restore_repository() { # FILE
  check_place || return
  folder=./$place
  mkdir -p "$folder" || complain 'cannot be made' || return
  [ -e "$folder/.git" ] || make_repository "$folder" || complain 'cannot be made' || return
  [ -z "$over" ] || keep_before
  [ -z "$(in_place status --porcelain --untracked-files=no --ignore-submodules=all)" ] ||
    complain 'it has changes of its own; take a fresh clone' || return
  in_place fetch --quiet --no-tags --prune "$kept/$1" '+refs/kept/*:refs/kept/*' ||
    complain "it has not the commits on which $1 builds; take a clone with all branches" || return
  in_place cat-file commit refs/kept/work | sed '1,/^$/d' >"$scratch/message"
  before=$(in_place rev-parse --quiet --verify HEAD)
  empty=$(in_place hash-object -t tree /dev/null)
  restore_branches
  restore_tree || complain 'its files could not be restored' || return
  restore_stashes
  in_place for-each-ref --format='tag %(objectname) refs/tags/%(refname:lstrip=3)' refs/kept/tags >"$scratch/tags"
  create_missing refs/tags "$scratch/tags" || while read -r _ id name; do
    in_place rev-parse --quiet --verify "$name" >/dev/null || in_place update-ref "$name" "$id"
  done <"$scratch/tags"
  printf '%s is restored.\n' "${place:-The project}"
}

# Keeps the present state of a workspace that gets a newer one, as refs/wsdash/before/*.
keep_before() {
  aside=$(in_place stash create 2>/dev/null)
  [ -n "$aside" ] || aside=$(in_place rev-parse --quiet --verify HEAD)
  [ -z "$aside" ] || in_place update-ref refs/wsdash/before/work "$aside"
  in_place for-each-ref --format='create refs/wsdash/before/%(refname:lstrip=1) %(objectname)' refs/heads |
    sed 's/^create/update/' | in_place update-ref --stdin
  [ -z "$aside" ] || in_place reset --quiet --hard
}

# Those refs of `WORD ID REF` lines that are not there, all at once: there may be thousands. Fails where one cannot be made.
create_missing() { # BELOW FILE
  in_place for-each-ref --format='%(refname)' "$1" >"$scratch/present"
  awk -v below="$1/" 'FILENAME != ARGV[2] { present[$0]; next } index($3, below) == 1 && !($3 in present) { print "create " $3 " " $2 }' \
    "$scratch/present" "$2" | in_place update-ref --stdin 2>/dev/null
}

restore_branches() {
  create_missing refs/heads "$scratch/message"
  # What is left: HEAD, and branches that are not as they were.
  in_place for-each-ref --format='branch %(objectname) %(refname)' refs/heads >"$scratch/present"
  awk 'FILENAME != ARGV[2] { present[$0]; next } !($0 in present)' "$scratch/present" "$scratch/message" >"$scratch/branches"
  head=
  commit=
  while read -r kind what name; do
    case $kind in
      head) head=$what ;;
      commit) commit=$what ;;
      branch)
        case $name in refs/heads/*) ;; *) continue ;; esac
        now=$(in_place rev-parse --quiet --verify "$name^{commit}")
        if [ "$now" = "$what" ]; then
          :
        elif [ -n "$over" ] || [ -z "$now" ] || in_place merge-base --is-ancestor "$now" "$what" 2>/dev/null; then
          in_place update-ref "$name" "$what" 2>/dev/null || [ -n "$now" ] || complain "there is no commit $what of ${name#refs/heads/}"
        elif ! in_place merge-base --is-ancestor "$what" "$now"; then
          in_place update-ref "refs/heads/kept/${name#refs/heads/}" "$what"
          printf '%s has gone on elsewhere; that of the workspace is the branch kept/%s.\n' "${name#refs/heads/}" "${name#refs/heads/}"
        fi
        ;;
    esac
  done <"$scratch/branches"
}

# Restores HEAD and its files as Git checks them out; then the files that differed from it, byte for byte; then the index.
restore_tree() {
  case $head in
    refs/heads/*)
      [ -z "$commit" ] || [ "$(in_place rev-parse --quiet --verify "$head")" = "$commit" ] || head=refs/heads/kept/${head#refs/heads/}
      if [ -z "$commit" ] || [ "$(in_place rev-parse --quiet --verify "$head")" = "$commit" ]; then
        in_place symbolic-ref HEAD "$head"
      else
        in_place update-ref --no-deref HEAD "$commit"
      fi
      ;;
    *) in_place update-ref --no-deref HEAD "$commit" ;;
  esac || return
  if [ -n "$commit" ]; then
    in_place reset --quiet --hard || return
  elif [ -n "$before" ]; then
    in_place read-tree --reset -u "$empty" || return
  fi
  base=${commit:-$empty}
  work=$(in_place rev-parse 'refs/kept/work^{tree}') || return
  in_place diff-tree -r -z --no-renames --no-commit-id --name-only --diff-filter=D "$base" "$work" >"$scratch/gone" || return
  (cd "$folder" && xargs -0 rm -f -- <"$scratch/gone") 2>/dev/null
  in_place diff-tree -r -z --no-renames --no-commit-id --name-only --diff-filter=d "$base" "$work" >"$scratch/changed" || return
  index=$(in_place rev-parse --quiet --verify 'refs/kept/index^{tree}') || index=$work
  # This includes a file that equals the commit but not the index: its bytes may differ from those that Git has checked out.
  in_place diff-tree -r -z --no-renames --no-commit-id --name-only --diff-filter=d "$index" "$work" >>"$scratch/changed" || return
  restore_bytes || return
  in_place read-tree "$index" || return
  in_place update-index -q --refresh >/dev/null 2>&1
  return 0
}

# Ignores the attributes of the project.
restore_bytes() {
  rm -rf "$scratch/git" "$scratch/index"
  make_repository --bare --template= "$scratch/git" || return
  mkdir -p "$scratch/git/info" "$scratch/git/objects/info"
  echo '* -text -filter -ident -working-tree-encoding' >"$scratch/git/info/attributes"
  objects=$(cd "$folder" && cd "$(git rev-parse --git-path objects)" && pwd) || return
  # In quotes, because such a path may contain quotes.
  soh=$(printf '\001')
  printf '"%s"\n' "$(printf '%s' "$objects" | tr '\012' '\001' | sed "s/[\\\\\"]/\\\\&/g; s/$soh/\\\\n/g")" >"$scratch/git/objects/info/alternates"
  (
    cd "$folder" || exit
    export GIT_INDEX_FILE="$scratch/index"
    git --git-dir="$scratch/git" -c core.bare=false --work-tree=. read-tree "$work" &&
      git --git-dir="$scratch/git" -c core.bare=false --work-tree=. checkout-index --quiet --force -z --stdin <"$scratch/changed"
  )
}

restore_stashes() {
  for stash in $(in_place for-each-ref --sort=-version:refname --format='%(objectname)' refs/kept/stash); do
    in_place log --walk-reflogs --format=%H refs/stash -- 2>/dev/null | grep -q "$stash" ||
      in_place stash store --message "$(in_place log -1 --format=%s "$stash")" "$stash" || complain 'a stash could not be restored'
  done
}

section=${1:-project}
case $section in project | beside) ;; *) echo 'usage: sh restore.sh [beside]' >&2; exit 64 ;; esac
object_format=
over=${WSDASH_RESTORE_OVER:-}
# Without bundles there is none.
contents=$kept/contents
[ -e "$contents" ] || contents=/dev/null
while IFS=$(printf '\t') read -r file object_format line; do
  case $section:$file in beside:beside-* | project:work.bundle | project:repository-*) ;; *) continue ;; esac
  place=$(printf '%sx' "$line" | tr '\001' '\012')
  place=${place%/x}
  place=${place#.}
  place=${place#/}
  restore_repository "$file"
done <"$contents"
archive=files.tar
[ "$section" = project ] || archive=beside.tar
place=
if [ -e "$kept/$archive" ]; then
  keep=k
  [ -z "$over" ] || keep=
  if tar "-xp${keep}f" "$kept/$archive"; then
    echo 'Files outside of any repository are restored.'
  else
    complain 'not all of the files could be restored'
  fi
fi
exit "$status"
