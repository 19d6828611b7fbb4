#!/bin/sh
# shellcheck disable=SC2154
# Packs unsaved work, as unsaved.sh defines it.
#
#   sh save_work.sh pack PROJECT   as files for `wsdash delete --keep-work`, once they are proven: restored by restore_work.sh into
#                  a scratch folder, and compared with what is there. PROJECT is a folder below PROJECTS_ROOT. Prints
#     wsdash-kept 1
#     problem TEXT          what cannot be kept; then nothing is
#     state HASH            of what is packed, as `unsaved.sh list exact` prints it
#     file NAME SIZE HASH   the SHA-256 of each, in the order in which their bytes follow
#     data                  and the bytes; after them a line `wsdash-kept`
#
#   sh save_work.sh others PROJECT FOLDER KIB   for a checkpoint: the same but of the project's own repository and files, into
#                  FOLDER, unless it takes more. Fails where something is not among it.
#
# A bundle of each repository with something unsaved has as refs/kept/*: head, heads/*, tags/*, other/* (refs), worktrees/*,
# progress/* (a rebase or the like that goes on), stash/N (0 is the newest), index and work, commits of the index and the
# working tree. The message of work says what HEAD was and where each branch stood. It is complete where the repository
# takes less than $complete_kib, else it builds on what is on a remote.

# shellcheck source=/dev/null
. "${0%/*}/common.sh"
# shellcheck source=/dev/null
. "${0%/*}/unsaved_repositories.sh"
# shellcheck source=/dev/null
. "${0%/*}/unsaved_remotes.sh"
# shellcheck source=/dev/null
. "${0%/*}/unsaved_report.sh"
# shellcheck source=/dev/null
. "${0%/*}/save_work_pack.sh"
# shellcheck source=/dev/null
. "${0%/*}/save_work_prove.sh"

# Defined already where this script is sent as one program.
have restore_script || restore_script() {
  cat "${0%/*}/restore_work.sh"
}

case ${1:-} in
  pack) pack "$2" ;;
  others) pack_others "$2" "$3" "$4" ;;
  *) printf 'usage: sh save_work.sh pack PROJECT|others PROJECT FOLDER KIB\n' >&2; exit 64 ;;
esac
