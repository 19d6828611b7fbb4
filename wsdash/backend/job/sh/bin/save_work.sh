#!/bin/sh
# shellcheck disable=SC2154
# Packs unsaved work, as unsaved.sh defines it.
#
#   sh save_work.sh pack PROJECT   into files for `wsdash delete --keep-work`, after verifying them: restore_work.sh restores them
#                  into a scratch folder, which is compared with the original. PROJECT is below PROJECTS_ROOT. Prints
#     wsdash-kept 1
#     problem TEXT          why nothing can be saved
#     state HASH            of the packed work, as `unsaved.sh list exact` prints it
#     file NAME SIZE HASH   the SHA-256 of each, in the order in which their bytes follow
#     data                  and the bytes; after them a line `wsdash-kept`
#
#   sh save_work.sh others PROJECT FOLDER KIB   for a checkpoint: everything but the project's own repository and files, into
#                  FOLDER, unless it is larger. Fails if some of it is missing.
#
# A bundle of each repository with something unsaved has as refs/kept/*: head, heads/*, tags/*, other/* (refs), worktrees/*,
# progress/* (a rebase or similar in progress), stash/N (0 is the newest), index and work, commits of the index and the
# working tree. The message of work names HEAD and the commit of each branch. The bundle is complete if the repository is
# smaller than $complete_kib, otherwise it builds on commits of a remote.

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

# Already defined if this script is sent as one program.
have restore_script || restore_script() {
  cat "${0%/*}/restore_work.sh"
}

case ${1:-} in
  pack) pack "$2" ;;
  others) pack_others "$2" "$3" "$4" ;;
  *) printf 'usage: sh save_work.sh pack PROJECT|others PROJECT FOLDER KIB\n' >&2; exit 64 ;;
esac
