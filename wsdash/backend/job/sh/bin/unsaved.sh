#!/bin/sh
# shellcheck disable=SC2154
# The definition of unsaved work: files and commits below the projects folder that exist only there.
#
# In each repository (nested ones, submodules, linked worktrees, and those whose .git file points elsewhere):
#   commits   reachable from HEAD, a worktree's HEAD, a branch, a tag, any other ref, or a rebase, merge, cherry-pick
#             or bisect in progress, but not from a commit that is known to be on a remote: those that its remotes track, and
#             those that came with a clone. A repository in this file system counts as a remote only if it is shown to
#             outlive the job (`classify_remote`). Without a remote, all of them.
#   stashes   every entry
#   changes   to the index and the tree, and untracked files that the repository's own rules do not ignore. A file is
#             changed if Git says so, with its built-in conversions (`compare_as`).
# and outside of repositories every file that is not in a folder of $caches; also in the folder of a submodule that is not
# checked out.
# Ignored files, the home folder and volumes are counted and sized; they are not unsaved work.
#
#   sh unsaved.sh list [exact]    with PROJECTS_ROOT and HOME. Prints, a line each:
#     wsdash-unsaved 1            the beginning
#     repository PATH             the next lines are about it; PATH is below PROJECTS_ROOT, and empty for that itself
#     commits|stashes|changes N   how many there are, after the first of them as
#     commit|stash|change TEXT
#     files N, file PATH          the same for files outside of repositories
#     problem TEXT                a place that could not be searched, so that there may be more
#     state HASH                  of all of it, with the content of each file, if `exact` is given
#     complete                    everything was searched, or is in a problem
#     ignored|home FILES KIB      files that are not unsaved work
#   A newline within a name is printed as the byte 1.
#
# The configuration of a repository is ignored, except how line ends are converted, and the repository is not written to: Git
# works in a separate repository, a copy of its refs and index that borrows its objects.

# shellcheck source=/dev/null
. "${0%/*}/common.sh"
# shellcheck source=/dev/null
. "${0%/*}/unsaved_repositories.sh"
# shellcheck source=/dev/null
. "${0%/*}/unsaved_remotes.sh"
# shellcheck source=/dev/null
. "${0%/*}/unsaved_report.sh"

list() { # [exact]
  printf 'wsdash-unsaved 1\n'
  # Before its first start a workspace has no folder.
  [ -e "$PROJECTS_ROOT" ] || { printf 'complete\n'; return 0; }
  root=$(cd -P -- "$PROJECTS_ROOT" 2>/dev/null && pwd -P) || root=
  if [ -z "$root" ] || ! cd "$root"; then
    problem 'the projects folder cannot be read'
    return 0
  fi
  set_surroundings || { problem 'there is no space for the search'; printf 'complete\n'; return 0; }
  report_all
  [ "${1:-}" != exact ] || print_state || problem 'the state cannot be hashed: there is no sha256sum'
  printf 'complete\n'
  size_ignored
  size_home
}

case ${1:-} in
  list) list "${2:-}" ;;
  *) printf 'usage: sh unsaved.sh list [exact]\n' >&2; exit 64 ;;
esac
