#!/bin/sh
# shellcheck disable=SC2034  # what the sourced scripts read
# The job of a workspace on GitLab: prepares the environment of job.sh, and sends the heartbeat as the pipeline's name.
#
#   sh gitlab.sh start     the script of the CI job
#   sh gitlab.sh after     its after_script, in a container of its own that has only the project directory
#   sh gitlab.sh report    the process that names the pipeline; `start` starts it
#   sh gitlab.sh heartbeats   print the pipeline's name whenever it changes, for the tunnel
#   sh gitlab.sh restore   wait for a checkpoint that the user's machine sends, and restore it
#
# Every file to keep is below the project directory, because nothing else goes into the cache; or it is on a volume. README.md
# lists the environment and the files of $run.

here=${0%/*}
# shellcheck source=/dev/null
. "$here/common.sh"
base=$CI_PROJECT_DIR/.wsdash/$WSDASH_WORKSPACE
run=$base/run
job=
code=000 # of the last request

# shellcheck source=/dev/null
. "$here/gitlab_http.sh"
# shellcheck source=/dev/null
. "$here/gitlab_timeouts.sh"
# shellcheck source=/dev/null
. "$here/gitlab_heartbeat.sh"
# shellcheck source=/dev/null
. "$here/gitlab_leftover.sh"
# shellcheck source=/dev/null
. "$here/gitlab_storage.sh"
# shellcheck source=/dev/null
[ "${WSDASH_ENCRYPT_CACHE:-no}" = no ] || . "$here/cache_encryption.sh"

# --- start --------------------------------------------------------------------------------------------

# Only a checkpoint that is newer than the cache's state is wanted; an encrypted cache has no state yet.
choose_checkpoint() {
  if [ -z "${WSDASH_RELAY:-}" ] && [ "${WSDASH_REMOTE_CHECKPOINTS:-no}" = no ]; then return 0; fi
  mkdir -p "$run/checkpoint"
  export WSDASH_BEFORE_END="sh '$here/checkpoint.sh' save ${WSDASH_SAVE_S:-25}"
  last=0.0
  read -r last 2>/dev/null <"$root/state/checkpoint"
  if [ "${WSDASH_CHECKPOINT:-none}" != none ] &&
    sh "$here/checkpoint.sh" newer "${WSDASH_CHECKPOINT#*:}" "$last"; then
    printf '%s\n' "$WSDASH_CHECKPOINT" >"$run/checkpoint/wanted"
    export WSDASH_AFTER_FETCH="sh '$here/gitlab.sh' restore"
  else
    rm -f "$run/checkpoint/wanted" "$run/checkpoint/incoming"
    unset WSDASH_AFTER_FETCH
  fi
}

# Runs in the background of the heartbeats, after the source is fetched.
job_restore() {
  folder=$run/checkpoint
  wanted=
  read -r wanted 2>/dev/null <"$folder/wanted"
  waited=0
  status=0
  from=machine
  case $wanted in
    *:*)
      from=project
      say "Fetching the checkpoint ${wanted#*:} from the project (${wanted%%:*})."
      until sh "$here/checkpoint.sh" download "$wanted" || [ "$waited" -ge 5 ]; do
        waited=$((waited + 1))
        sleep 2
      done
      waited=9999
      wanted=${wanted#*:}
      ;;
    *) say "Waiting for the checkpoint $wanted, which your machine sends." ;;
  esac
  until [ -e "$folder/incoming" ] || [ "$waited" -ge "${WSDASH_RECEIVE_S:-120}" ] || [ -e "$run/unreachable" ]; do
    sleep 1
    waited=$((waited + 1))
  done
  if ! [ -e "$folder/incoming" ]; then
    say 'The checkpoint did not arrive. It stays on your machine, or in the project.'
    status=1
  elif problem=$(sh "$here/checkpoint.sh" restore "$folder/incoming" "$wanted"); then
    [ -z "$problem" ] || printf '%s\n' "$problem"
    say "The checkpoint $wanted is restored."
  else
    say "The checkpoint $wanted could not be restored ($problem); it stays where it is."
    status=1
  fi
  rm -f "$folder/wanted" "$folder/incoming"
  if [ "$status" -ne 0 ]; then
    printf 'missed\n' >"$run/unsaved"
    # The project stores only one: this job must not replace the checkpoint that it could not restore.
    [ "$from" = machine ] || : >"$run/checkpoint/no-uploads"
  fi
  : >"$run/restored"
  exit "$status"
}

# volume NAME PATH kept|fresh, called by volumes.sh
# shellcheck disable=SC2317,SC2329
volume() {
  folder=$root/volumes/$1
  [ "$3" = kept ] || folder=$run/volumes/$1
  mkdir -p "$folder"
  if [ -n "${CI_SHARED_ENVIRONMENT:-}" ]; then
    say "This runner's jobs share a machine, so the volume $1 is not mounted at $2: use $folder."
    return 0
  fi
  if [ -L "$2" ] || rmdir "$2" 2>/dev/null || ! [ -e "$2" ]; then
    mkdir -p "${2%/*}" 2>/dev/null
    rm -f "$2" 2>/dev/null
    if ln -s "$folder" "$2" 2>/dev/null; then return 0; fi
  fi
  say "The volume $1 cannot be linked to $2: the image has something there, or does not allow it. Use $folder."
}

# Git reaches this GitLab with the job's token, which is in no address, and in a file because no shell and no session of the
# workspace has it in its environment. The user's own credentials have priority, if the user's machine has any, because the
# job's token can usually only read.
configure_git() {
  keep_git_settings
  [ ! -f "$here/credentials.sh" ] ||
    git_setting credential.helper "!sh '$(in_quotes "$here")/credentials.sh'"
  # Hosts, and single repositories for which the user's machine has credentials.
  for url in ${WSDASH_CREDENTIALS:-}; do
    case ${url#*://} in */*) git_setting "credential.$url.useHttpPath" true ;; esac
  done
  [ -z "${CI_SERVER_URL:-}" ] || {
    (umask 077; printf 'username=gitlab-ci-token\npassword=%s\n' "${CI_JOB_TOKEN:-}" >"$run/job-token")
    # shellcheck disable=SC2016  # expanded by the helper itself
    git_setting "credential.$CI_SERVER_URL.helper" '!f() { [ "$1" != get ] || cat "$WSDASH_RUN/job-token"; }; f'
    git_setting "url.$CI_SERVER_URL/.insteadOf" "git@${CI_SERVER_HOST:-}:"
    git_setting "url.$CI_SERVER_URL/.insteadOf" "ssh://git@${CI_SERVER_HOST:-}/"
    # GitLab's authority is for GitLab alone: other hosts need those of the image.
    [ ! -f "${CI_SERVER_TLS_CA_FILE:-}" ] || [ -n "${GIT_SSL_CAINFO:-}" ] ||
      git_setting "http.$CI_SERVER_URL/.sslCAInfo" "$CI_SERVER_TLS_CA_FILE"
  }
}

# Heartbeats through the tunnel cost no requests, so they are more frequent; GitLab's stay as rare as without a tunnel.
beat_more_often() {
  case $WSDASH_BEAT_S in
    *[!0-9]*) return ;;
  esac
  if [ "$WSDASH_BEAT_S" -ge 20 ]; then
    export WSDASH_REPORT_EVERY="$((WSDASH_BEAT_S / 10))" WSDASH_BEAT_S=10
  fi
}

# The service may copy the editor late or never; the workspace does not wait for it.
await_editor() {
  waited=0
  while [ "$waited" -lt 60 ]; do
    for tools in "${CI_BUILDS_DIR:-/builds}/.wsdash-tools" /builds/.wsdash-tools; do
      if [ -f "$tools/complete" ]; then
        printf '%s\n' "$tools" >"$run/editor"
        say "The editor is available: $tools"
        return
      fi
    done
    sleep 1
    waited=$((waited + 1))
  done
  say 'The editor is not available: this runner starts no services, or cannot fetch the image that has it.'
}

# shellcheck disable=SC2317,SC2329  # called by a trap
forward_signal() {
  ended=yes
  [ -z "$job" ] || kill -TERM "$job" 2>/dev/null
}

# run_job_sh ENTRY: runs it, passes signals on, and watches the helpers; sets `status`.
run_job_sh() {
  sh "$here/job.sh" "$1" "$here/workload.sh" </dev/null 9>&- &
  job=$!
  [ -z "$ended" ] || kill -TERM "$job" 2>/dev/null
  # A trapped signal cuts `wait` short: also the end of any child.
  trap : CHLD
  while :; do
    watch_helpers
    status=0
    wait "$job" || status=$?
    kill -0 "$job" 2>/dev/null || break
  done
  trap - CHLD
  # Also the end of the job itself; its exit code is still there then.
  if [ "$status" -gt 128 ]; then
    again=0
    wait "$job" 2>/dev/null || again=$?
    [ "$again" -eq 127 ] || status=$again
  fi
  job=
}

# --- helpers: the processes that live as long as the job ----------------------------------------------

start_reporter() {
  sh "$0" report </dev/null &
  reporter=$!
  printf '%s\n' "$reporter" >"$run/reporter"
}

start_tunnel() {
  WSDASH_ENROLL_TOKEN_FILE="$run/access/enroll-token" sh "$here/tunnel.sh" connect </dev/null 9>&- &
  tunnel_pid=$!
}

start_uploader() {
  sh "$here/checkpoint.sh" upload </dev/null &
  uploader=$!
}

# was_killed PID: whether a child was killed. One that has ended by itself has its reason.
was_killed() {
  kill -0 "$1" 2>/dev/null && return 1
  wait "$1" 2>/dev/null
  [ "$?" -gt 128 ]
}

# Starts helpers that were killed, as by the system when memory is short: at most one every two seconds.
watch_helpers() {
  set_now
  if [ "$now" -lt "$helpers_not_before" ]; then
    # Its end wakes this process again.
    sleep 2 >/dev/null 2>&1 9>&- &
    return 0
  fi
  if [ -n "$reporter" ] && was_killed "$reporter"; then
    say 'The process that sends heartbeats was killed: the job restarts it.'
    start_reporter
  elif [ -n "$tunnel_pid" ] && was_killed "$tunnel_pid"; then
    say 'The process that holds the tunnel to your machine was killed: the job restarts it.'
    start_tunnel
  elif [ -n "$uploader" ] && was_killed "$uploader"; then
    say 'The process that sends checkpoints was killed: the job restarts it.'
    start_uploader
  else
    return 0
  fi
  helpers_not_before=$((now + 2))
  sleep 2 >/dev/null 2>&1 9>&- &
}

read_state() {
  state=
  read -r state 2>/dev/null <"$run/state"
  [ -n "$state" ] || state=queued
}

is_final() {
  case $state in queued | fetching | starting | ready | ending) return 1 ;; *) return 0 ;; esac
}

set_state() {
  state=$1
  printf '%s\n' "$1" >"$run/state"
}

# Variables with credentials of the workspace's addresses become a file, which job.sh passes to Git.
write_credentials() {
  rm -f "$here/git-credentials"
  number=0
  while eval "[ -n \"\${WSDASH_${WSDASH_WORKSPACE}_GIT_CREDENTIAL_$number:-}\" ]"; do
    eval "(umask 077; printf '%s\n' \"\$WSDASH_${WSDASH_WORKSPACE}_GIT_CREDENTIAL_$number\" >>\"\$here/git-credentials\")"
    unset "WSDASH_${WSDASH_WORKSPACE}_GIT_CREDENTIAL_$number"
    number=$((number + 1))
  done
}

# The project's variables for this workspace get the names that the workspace uses.
rename_secrets() {
  own=WSDASH_${WSDASH_WORKSPACE}_
  for name in $(export -p | sed -n "s/^[a-z -]* $own\([A-Za-z_][A-Za-z0-9_]*\)=.*/\1/p"); do
    eval "[ -z \"\${$own$name+set}\" ] || { $name=\$$own$name; export $name; unset $own$name; }"
  done
}

job_start() {
  ended=
  helpers_not_before=0
  now=0
  reporter=
  tunnel_pid=
  uploader=
  trap forward_signal TERM INT HUP
  chmod 700 "$run" 2>/dev/null
  printf '%s\n' "${CI_JOB_ID:-}" >"$run/job-id"
  write_credentials
  rename_secrets
  export WSDASH_RUN="$run" WSDASH_EMIT_HOOK="$here/gitlab_emit.sh" WSDASH_JOB_PID="$$"
  set_now
  printf '%s\n' "$now" >"$run/started"
  case ${CI_DEBUG_TRACE:-} in
    [Tt]rue | TRUE | 1) say 'CI_DEBUG_TRACE is on: this log shows every command with its variables, also secrets.' ;;
  esac
  set_limits
  choose_root
  configure_git
  find_http
  printf '%s\n' "$http" >"$run/http"
  if [ "$http" = none ]; then
    printf 'log\n' >"$run/via"
    say 'The image has no curl, wget, python3 or node: heartbeats go through the job log, later and for a shorter time.'
  else
    printf '%s\n' "$http" >"$run/via"
    start_reporter
  fi
  [ "${WSDASH_ENCRYPT_CACHE:-no}" = yes ] || restore_state
  [ -z "${WSDASH_RELAY:-}" ] || beat_more_often
  choose_checkpoint
  if [ -n "${WSDASH_RELAY:-}" ]; then
    (umask 077; mkdir -p "$run/access"; printf '%s' "${WSDASH_ID_TOKEN:-${WSDASH_ONE_TIME_SECRET:-}}" >"$run/access/enroll-token")
    # No other process of the job may enroll as this job.
    unset WSDASH_ID_TOKEN WSDASH_ONE_TIME_SECRET
    (umask 077; export -p >"$run/access/environment")
    start_tunnel
  fi
  [ "${WSDASH_REMOTE_CHECKPOINTS:-no}" = no ] || start_uploader
  editor=
  if [ "$WSDASH_EDITOR" = yes ]; then
    await_editor </dev/null &
    editor=$!
  fi
  if [ "${WSDASH_ENCRYPT_CACHE:-no}" = yes ]; then
    restore_state
    choose_checkpoint
  fi
  # shellcheck source=/dev/null
  . "$here/volumes.sh"
  status=75
  if ! [ -e "$run/expects" ] || await_import; then run_job_sh fetch; fi
  # From here on there is work to save.
  [ "$status" -ne 0 ] || : >"$run/restored"
  read_state
  if [ -n "$ended" ] && [ -f "$run/facts" ] && [ "$status" -eq 75 ]; then set_state cancelled; fi
  if ! is_final; then
    case $status in
      0)
        deduct_elapsed
        run_job_sh run
        read_state
        # It was killed, and has saved nothing.
        is_final || [ -z "${WSDASH_BEFORE_END:-}" ] || sh -c "$WSDASH_BEFORE_END"
        ;;
      75) set_state source ;;
      78) set_state configuration ;;
    esac
  fi
  is_final || set_state user-code
  if [ "$http" != none ]; then
    kill -USR1 "$reporter" 2>/dev/null
    wait "$reporter"
  fi
  if [ -n "$tunnel_pid" ]; then
    kill -USR1 "$tunnel_pid" 2>/dev/null
    wait "$tunnel_pid"
    sh "$here/terminal.sh" end
  fi
  [ -z "$editor" ] || kill "$editor" 2>/dev/null
  [ -z "$uploader" ] || kill -KILL "$uploader" 2>/dev/null
  exit "$status"
}

# --- after --------------------------------------------------------------------------------------------

# The last checkpoint of a killed script: there is no tunnel any more.
save_after() {
  [ "${WSDASH_REMOTE_CHECKPOINTS:-no}" = yes ] && [ -d "$root/projects" ] || return 0
  configure_git
  PROJECTS_ROOT=$root/projects HOME=$root/home WSDASH_RUN=$run WSDASH_JOB_PID=$$ sh "$here/checkpoint.sh" upload once
  rm -f "$run/job-token"
}

job_after() {
  # A job that yielded to a newer one has no files here.
  owner=
  read -r owner 2>/dev/null <"$run/job-id"
  [ "$owner" = "${CI_JOB_ID:-}" ] || return 0
  # A runner may keep its folders, so all secrets of this job are removed.
  rm -f "$here/git-credentials" "$run/access/environment" "$run/access/enroll-token" "$run/job-token"
  root=$base/live
  read -r root 2>/dev/null <"$run/root"
  read_state
  if ! is_final; then
    case ${CI_JOB_STATUS:-} in
      canceled) set_state cancelled ;;
      timedout) set_state deadline ;;
      *) set_state user-code ;;
    esac
    save_after
  fi
  # Before the folder is packed, which may move it.
  find_unsaved
  # The archiver saves only files newer than its own archive: the state's archive is created again each time.
  save_state
  http=none
  find_http
  name_pipeline
  [ "${WSDASH_ENCRYPT_CACHE:-no}" = no ] || remove_plaintext
}

case ${1:-} in
  start) job_start ;;
  after) job_after ;;
  report) job_report ;;
  heartbeats) job_heartbeats ;;
  restore) job_restore ;;
  *) printf 'usage: sh gitlab.sh start|after|report|heartbeats|restore\n' >&2; exit 64 ;;
esac
