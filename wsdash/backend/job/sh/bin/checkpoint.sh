#!/bin/sh
# shellcheck disable=SC2154,SC2034  # what gitlab_http.sh sets and reads
# Checkpoints: the unsaved work of a workspace, as a Git bundle that is kept outside of its job.
#
#   sh checkpoint.sh stream            send each as it is made, on stdout; stdin says whether it was stored
#   sh checkpoint.sh upload [once]     put each into the project's package registry, or on a branch, while no tunnel accepts
#                                      them; or one now
#   sh checkpoint.sh download FROM:ID  get one from there
#   sh checkpoint.sh save [SECONDS]    have one made and stored now, with the terminal; prints the result
#   sh checkpoint.sh receive ID HASH   read the stored one from stdin, for a job that waits for it
#   sh checkpoint.sh restore FILE ID   restore it into the project's folder
#   sh checkpoint.sh newer ID ID       whether the first is newer
#
# Refs of a checkpoint: refs/heads/* that are not on origin; refs/wsdash/work, a commit of the working tree without ignored
# files, whose parents are HEAD and refs/wsdash/index, and whose message names HEAD and the branches; refs/wsdash/stash/N,
# tags/*, worktrees/*; refs/wsdash/others, the unsaved work in other repositories and outside of any, a tree of the files that
# restore_work.sh restores; refs/wsdash/home, the chosen files of the home folder; refs/wsdash/terminal, the files of terminal.sh.
# Only restore writes to the checkout: a separate repository borrows the checkout's objects.
#
# Lines of stream:  new ID BASE EPOCH SIZE HASH, and SIZE bytes;  same ID EPOCH;  failed WHY
# its answers:      kept;  refused WHY
# ID is the attempt's number and a count, 3.7; BASE is the previous ID, 0.0 for none; HASH is Git's hash of the bytes.
#
# The scripts that it sources are in the same folder.
# Environment: PROJECTS_ROOT, HOME, WSDASH_RUN, WSDASH_ATTEMPT, WSDASH_JOB_PID, WSDASH_CHECKPOINT_S (seconds between two),
# WSDASH_REMOTE_CHECKPOINT_S (the same in the registry), WSDASH_CHECKPOINT_MIB (what one may take), and for the registry
# WSDASH_WORKSPACE and GitLab's own. The workload's file sets `home_files`: paths below HOME, a line each.

here=${0%/*}
# shellcheck source=/dev/null
. "$here/common.sh"
folder=$WSDASH_RUN/checkpoint
# Written by this process only: a killed process may have left another one at work.
work=$folder/work.${1:-}.$$
own=$work/git
mark=${PROJECTS_ROOT%/*}/state/checkpoint
branch=refs/heads/wsdash-checkpoints/${WSDASH_WORKSPACE:-}
terminal=${PROJECTS_ROOT%/*}/state/terminal
most_kib=$((${WSDASH_CHECKPOINT_MIB:-256} * 1024))
number=${WSDASH_ATTEMPT#*.}
number=${number%%.*}

export GIT_OPTIONAL_LOCKS=0 GIT_TERMINAL_PROMPT=0 LC_ALL=C \
  GIT_AUTHOR_NAME=wsdash GIT_AUTHOR_EMAIL=wsdash GIT_AUTHOR_DATE='@0 +0000' \
  GIT_COMMITTER_NAME=wsdash GIT_COMMITTER_EMAIL=wsdash GIT_COMMITTER_DATE='@0 +0000'
unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE

# The separate repository, which uses none of the checkout's configuration and hooks.
shadow_git() {
  git --git-dir="$own" -c core.hooksPath=/dev/null -c core.fsmonitor=false -c core.bare=false -c gc.auto=0 "$@"
}

checkout() {
  git -C "$project" -c core.hooksPath=/dev/null -c core.fsmonitor=false -c gc.auto=0 "$@"
}

read_mark() {
  last=0.0
  read -r last 2>/dev/null <"$mark"
  case $last in *[!0-9.]* | *.*.* | .* | *. | '') last=0.0 ;; esac
}

write_mark() {
  mkdir -p "${mark%/*}" && printf '%s\n' "$1" >"$mark.new" && mv "$mark.new" "$mark"
}

# fail WHY: sets `why` to a word, because a heartbeat has no space for more.
fail() {
  why=$1
  return 1
}

project_folder=
home_files=
source_url=
# shellcheck source=/dev/null
. "$here/workload.sh"
project=$PROJECTS_ROOT${project_folder:+/$project_folder}
why=
run=$WSDASH_RUN
# shellcheck source=/dev/null
[ ! -r "$here/gitlab_http.sh" ] || . "$here/gitlab_http.sh"
# shellcheck source=/dev/null
. "$here/checkpoint_create.sh"
# shellcheck source=/dev/null
. "$here/checkpoint_send.sh"
# shellcheck source=/dev/null
. "$here/checkpoint_restore.sh"
# shellcheck source=/dev/null
. "$here/checkpoint_others.sh"
case ${1:-} in
  stream) stream ;;
  upload) upload_checkpoints "${2:-}" ;;
  download) download_checkpoint "$2" ;;
  save) save "${2:-}" ;;
  receive) receive "$2" "$3" ;;
  newer) is_newer "$2" "$3" ;;
  restore) restore "$2" "$3" || { echo "$why"; exit 1; } ;;
  *) printf 'usage: sh checkpoint.sh stream|upload [once]|download FROM:ID|save [SECONDS]|receive ID HASH|restore FILE ID|newer ID ID\n' >&2; exit 64 ;;
esac
