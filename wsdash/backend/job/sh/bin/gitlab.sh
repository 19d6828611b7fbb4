#!/bin/sh
# The job of a workspace on GitLab: surroundings for job.sh, and the heartbeat as the pipeline's name.
#
#   sh gitlab.sh start     the script of the CI job
#   sh gitlab.sh after     its after_script, in a container of its own that has only the project directory
#   sh gitlab.sh report    the process that names the pipeline; `start` starts it
#   sh gitlab.sh pulse     say by the line what the name of the pipeline says, whenever it changes
#   sh gitlab.sh restore   wait for a checkpoint that the user's machine sends, and put it back
#
# All that is to be kept lies below the project directory, for nothing else gets into the cache; or on a volume.
# Environment, from the configuration: WSDASH_WORKSPACE, WSDASH_ATTEMPT, WSDASH_CONFIG and
# WSDASH_OWNER (kept in the name), WSDASH_RESTORES (the number of the state that was saved last; yes: an earlier job has saved work; import: files are sent), WSDASH_EDITOR (yes: a service brings the editor), WSDASH_BEAT_S, WSDASH_DEADLINE,
# WSDASH_CHECKPOINT (the newest that is kept: none, ID on the user's machine, registry:ID or branch:ID in the project), WSDASH_SAVE_S, WSDASH_DEPOSITS (no: none go there).
# WSDASH_SEALED (yes: the cache gets one file that is encrypted), WSDASH_VOLUME (a folder that the runner mounts, where the workspace has one of its own; none: the cache is used).

here=${0%/*}
base=$CI_PROJECT_DIR/.wsdash/$WSDASH_WORKSPACE
run=$base/run
job=
code=000 # of the last request

say() {
  printf 'wsdash: %s\n' "$1"
}

have() {
  command -v "$1" >/dev/null 2>&1
}

# shellcheck source=/dev/null
. "$here/gitlab_http.sh"
# shellcheck source=/dev/null
. "$here/gitlab_timeouts.sh"
# shellcheck source=/dev/null
. "$here/gitlab_storage.sh"
# shellcheck source=/dev/null
[ "${WSDASH_SEALED:-no}" = no ] || . "$here/cache_encryption.sh"

# --- start --------------------------------------------------------------------------------------------

# Only a checkpoint that is newer than what the cache brought is wanted; what is sealed has brought nothing yet.
want_checkpoint() {
  if [ -z "${WSDASH_RELAY:-}" ] && [ "${WSDASH_DEPOSITS:-no}" = no ]; then return 0; fi
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

# Run beside the heartbeats, after the source is there.
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
      until sh "$here/checkpoint.sh" withdraw "$wanted" || [ "$waited" -ge 5 ]; do
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
    say 'It did not come, and stays where it is: on your machine, or in the project.'
    status=1
  elif problem=$(sh "$here/checkpoint.sh" restore "$folder/incoming" "$wanted"); then
    [ -z "$problem" ] || printf '%s\n' "$problem"
    say "The checkpoint $wanted is put back."
  else
    say "The checkpoint $wanted could not be put back ($problem); it stays where it is."
    status=1
  fi
  rm -f "$folder/wanted" "$folder/incoming"
  if [ "$status" -ne 0 ]; then
    printf 'missed\n' >"$run/unsaved"
    # The project has room for one: none of this job takes the place of what it did not get.
    [ "$from" = machine ] || : >"$run/checkpoint/no-deposits"
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
    say "This runner's jobs share a machine, so the volume $1 is not put at $2; it is $folder."
    return 0
  fi
  if [ -L "$2" ] || rmdir "$2" 2>/dev/null || ! [ -e "$2" ]; then
    mkdir -p "${2%/*}" 2>/dev/null
    rm -f "$2" 2>/dev/null
    if ln -s "$folder" "$2" 2>/dev/null; then return 0; fi
  fi
  say "The volume $1 cannot be put at $2, where the image has something or allows nothing; it is $folder."
}

# git_setting KEY VALUE, for every Git of the job
git_setting() {
  export "GIT_CONFIG_KEY_$GIT_CONFIG_COUNT=$1" "GIT_CONFIG_VALUE_$GIT_CONFIG_COUNT=$2"
  GIT_CONFIG_COUNT=$((GIT_CONFIG_COUNT + 1))
}

# Git reaches this GitLab with the job's token, which stands in no address and no file. The user's own credentials come
# first, where the user's machine gives any: that token may mostly only read.
configure_git() {
  export GIT_CONFIG_COUNT=0
  [ ! -f "$here/credentials.sh" ] ||
    git_setting credential.helper "!sh '$(printf '%s' "$here" | sed "s/'/'\\\\''/g")/credentials.sh'"
  # Hosts, and repositories for which that machine has other credentials than for the rest of their host.
  for url in ${WSDASH_CREDENTIALS:-}; do
    case ${url#*://} in */*) git_setting "credential.$url.useHttpPath" true ;; esac
  done
  [ -z "${CI_SERVER_URL:-}" ] || {
    # shellcheck disable=SC2016  # expanded by the helper itself
    git_setting "credential.$CI_SERVER_URL.helper" \
      '!f() { [ "$1" != get ] || printf "username=gitlab-ci-token\npassword=%s\n" "$CI_JOB_TOKEN"; }; f'
    git_setting "url.$CI_SERVER_URL/.insteadOf" "git@${CI_SERVER_HOST:-}:"
    git_setting "url.$CI_SERVER_URL/.insteadOf" "ssh://git@${CI_SERVER_HOST:-}/"
  }
  [ ! -f "${CI_SERVER_TLS_CA_FILE:-}" ] || export GIT_SSL_CAINFO="${GIT_SSL_CAINFO:-$CI_SERVER_TLS_CA_FILE}"
}

# A line costs no requests: more beats go by it, of which GitLab gets no more than before.
beat_by_line() {
  case $WSDASH_BEAT_S in
    *[!0-9]*) return ;;
  esac
  if [ "$WSDASH_BEAT_S" -ge 20 ]; then
    export WSDASH_REPORT_EVERY="$((WSDASH_BEAT_S / 10))" WSDASH_BEAT_S=10
  fi
}

# The editor may come late or never; the workspace does not wait for it.
await_editor() {
  waited=0
  while [ "$waited" -lt 60 ]; do
    for tools in "${CI_BUILDS_DIR:-/builds}/.wsdash-tools" /builds/.wsdash-tools; do
      if [ -f "$tools/complete" ]; then
        printf '%s\n' "$tools" >"$run/editor"
        say "The editor is there: $tools"
        return
      fi
    done
    sleep 1
    waited=$((waited + 1))
  done
  say 'The editor did not come: this runner starts no services, or cannot fetch the image that brings it.'
}

# shellcheck disable=SC2317,SC2329  # called by a trap
pass_on() {
  ended=yes
  [ -z "$job" ] || kill -TERM "$job" 2>/dev/null
}

# job_sh ENTRY: runs it, and passes signals on; sets `status`.
job_sh() {
  sh "$here/job.sh" "$1" "$here/workload.sh" </dev/null 9>&- &
  job=$!
  [ -z "$ended" ] || kill -TERM "$job" 2>/dev/null
  status=0
  wait "$job" || status=$?
  # A trapped signal cuts `wait` short.
  while kill -0 "$job" 2>/dev/null; do
    status=0
    wait "$job" || status=$?
  done
  job=
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

# Those that hold credentials of the workspace's addresses become a file, which job.sh gives to Git.
take_credentials() {
  rm -f "$here/git-credentials"
  number=0
  while eval "[ -n \"\${WSDASH_${WSDASH_WORKSPACE}_GIT_CREDENTIAL_$number:-}\" ]"; do
    eval "(umask 077; printf '%s\n' \"\$WSDASH_${WSDASH_WORKSPACE}_GIT_CREDENTIAL_$number\" >>\"\$here/git-credentials\")"
    unset "WSDASH_${WSDASH_WORKSPACE}_GIT_CREDENTIAL_$number"
    number=$((number + 1))
  done
}

# The project's variables for this workspace alone get the names that it knows them by.
take_secrets() {
  own=WSDASH_${WSDASH_WORKSPACE}_
  for name in $(export -p | sed -n "s/^[a-z -]* $own\([A-Za-z_][A-Za-z0-9_]*\)=.*/\1/p"); do
    eval "[ -z \"\${$own$name+set}\" ] || { $name=\$$own$name; export $name; unset $own$name; }"
  done
}

job_start() {
  ended=
  trap pass_on TERM INT HUP
  chmod 700 "$run" 2>/dev/null
  printf '%s\n' "${CI_JOB_ID:-}" >"$run/job-id"
  take_credentials
  take_secrets
  export WSDASH_RUN="$run" WSDASH_REPORTER="$here/gitlab_report.sh" WSDASH_MAIN="$$"
  date +%s >"$run/started"
  set_limits
  choose_root
  configure_git
  find_http
  printf '%s\n' "$http" >"$run/http"
  if [ "$http" = none ]; then
    printf 'log\n' >"$run/via"
    say 'The image has no curl, wget, python3 or node: heartbeats come by the log, later and for less long.'
  else
    printf '%s\n' "$http" >"$run/via"
    sh "$0" report </dev/null &
    reporter=$!
    printf '%s\n' "$reporter" >"$run/reporter"
  fi
  [ "${WSDASH_SEALED:-no}" = yes ] || restore_state
  [ -z "${WSDASH_RELAY:-}" ] || beat_by_line
  want_checkpoint
  dialler=
  if [ -n "${WSDASH_RELAY:-}" ]; then
    (umask 077; mkdir -p "$run/access"; printf '%s' "${WSDASH_ID_TOKEN:-${WSDASH_ONE_TIME_SECRET:-}}" >"$run/access/proof")
    # Nobody else in the job is to be able to prove what only this can.
    unset WSDASH_ID_TOKEN WSDASH_ONE_TIME_SECRET
    (umask 077; export -p >"$run/access/environment")
    WSDASH_PROOF="$run/access/proof" sh "$here/tunnel.sh" dial </dev/null 9>&- &
    dialler=$!
  fi
  depositor=
  if [ "${WSDASH_DEPOSITS:-no}" = yes ]; then
    sh "$here/checkpoint.sh" deposit </dev/null &
    depositor=$!
  fi
  editor=
  if [ "$WSDASH_EDITOR" = yes ]; then
    await_editor </dev/null &
    editor=$!
  fi
  if [ "${WSDASH_SEALED:-no}" = yes ]; then
    restore_state
    want_checkpoint
  fi
  # shellcheck source=/dev/null
  . "$here/volumes.sh"
  status=75
  if ! [ -e "$run/expects" ] || await_import; then job_sh fetch; fi
  # From here on there is something to be saved.
  [ "$status" -ne 0 ] || : >"$run/restored"
  read_state
  if [ -n "$ended" ] && [ -f "$run/facts" ] && [ "$status" -eq 75 ]; then set_state cancelled; fi
  if ! is_final; then
    case $status in
      0)
        take_off_passed
        job_sh run
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
  if [ -n "$dialler" ]; then
    kill -USR1 "$dialler" 2>/dev/null
    wait "$dialler"
    sh "$here/terminal.sh" end
  fi
  [ -z "$editor" ] || kill "$editor" 2>/dev/null
  [ -z "$depositor" ] || kill -KILL "$depositor" 2>/dev/null
  exit "$status"
}

# --- after --------------------------------------------------------------------------------------------

# Of a script that was ended amid its work: nobody is there to take its last checkpoint by a line.
save_after() {
  [ "${WSDASH_DEPOSITS:-no}" = yes ] && [ -d "$root/projects" ] || return 0
  configure_git
  PROJECTS_ROOT=$root/projects HOME=$root/home WSDASH_RUN=$run WSDASH_MAIN=$$ sh "$here/checkpoint.sh" deposit once
}

job_after() {
  # One that gave way to a newer job has nothing here.
  owner=
  read -r owner 2>/dev/null <"$run/job-id"
  [ "$owner" = "${CI_JOB_ID:-}" ] || return 0
  # A runner may keep its folders: no secret of this job stays there.
  rm -f "$here/git-credentials" "$run/access/environment" "$run/access/proof"
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
  find_left
  # The archiver saves only what is newer than its own archive: the state's is made anew.
  save_state
  http=none
  find_http
  name_pipeline
  [ "${WSDASH_SEALED:-no}" = no ] || forget_open
}

# --- report -------------------------------------------------------------------------------------------

# GitLab takes 255 characters: what does not fit is left out.
fact() {
  longer="$name $1"
  [ "${#longer}" -gt 255 ] || name=$longer
}

# tell_time: sets `now`, without a process of its own, for a line asks each second.
tell_time() {
  uptime=
  read -r uptime _ 2>/dev/null </proc/uptime
  if [ -z "$uptime" ]; then
    now=$(date +%s)
    return
  fi
  [ -n "${clock_offset:-}" ] || clock_offset=$(($(date +%s) - ${uptime%%.*}))
  now=$((clock_offset + ${uptime%%.*}))
}

# Whether the disk takes what is written and has it again: it may be full, over a quota, without inodes, or read-only.
can_write() {
  mark=$$.$now
  { printf '%s\n' "$mark" >"$run/probe.$$"; } 2>/dev/null
  found=
  read -r found 2>/dev/null <"$run/probe.$$"
  rm -f "$run/probe.$$" 2>/dev/null
  [ "$found" = "$mark" ]
}

# job.sh hands its heartbeats over in a file. Where the disk does not take them the job is alive all the same, and whoever
# composes the name says so in its place: its user can make room only in a job that runs.
stand_in() {
  disk_refuses=
  every=${WSDASH_BEAT_S%%.*}
  case $every in '' | *[!0-9]* | 0) every=1 ;; esac
  if [ $((now - at)) -gt "$every" ] && ! can_write; then
    seq=$((seq + (now - at) / every))
    at=$now
    disk_refuses=yes
  fi
}

# The state, and the last beat of job.sh. Sets `name`.
compose_name() {
  read_state
  tell_time
  at=0 seq=0 load=- memory=- disk=- active=- shells=-
  read -r at seq load memory disk active shells 2>/dev/null <"$run/beat"
  # Before job.sh tells its own, the state is unpacked, or waited for.
  if [ "${at:-0}" -eq 0 ]; then at=$now seq=0; fi
  stand_in
  name="wsdash/$WSDASH_WORKSPACE $WSDASH_ATTEMPT $at $state $seq config=$WSDASH_CONFIG owner=$WSDASH_OWNER via=$http"
  read -r started 2>/dev/null <"$run/started" && fact "started=$started"
  failed=0
  while read -r _; do failed=$((failed + 1)); done 2>/dev/null <"$run/failed"
  [ "$failed" -eq 0 ] || fact "failed=$failed"
  [ -z "$disk_refuses" ] || fact run=unwritable
  read -r stored 2>/dev/null <"$run/stored" && fact "state=$stored"
  read -r left 2>/dev/null <"$run/left" && fact "left=$left"
  read -r from 2>/dev/null <"$run/from" && fact "from=$from"
  read -r aside 2>/dev/null <"$run/aside" && fact "aside=$aside"
  read -r told 2>/dev/null <"$run/facts" && fact "$told"
  read -r kept 2>/dev/null <"$run/kept" && fact "kept=$kept"
  saved=
  read -r saved 2>/dev/null <"$run/saved" && fact "saved=$saved"
  read -r deposit 2>/dev/null <"$run/deposit" && fact "deposit=$deposit"
  unsaved=
  read -r unsaved 2>/dev/null <"$run/unsaved"
  [ -z "$disk_refuses" ] || unsaved=disk
  [ -z "$unsaved" ] || fact "unsaved=$unsaved"
  [ "${active:--}" = - ] || fact "active=$active"
  [ "${shells:--}" = - ] || fact "shells=$shells"
  [ "$load" = - ] || fact "load=$load"
  [ "$memory" = - ] || fact "memory=$memory"
  [ "$disk" = - ] || fact "disk=$disk"
}

# One request. Sets `code`.
name_pipeline() {
  compose_name
  request PUT "$CI_API_V4_URL/projects/$CI_PROJECT_ID/pipelines/$CI_PIPELINE_ID/metadata" "{\"name\":\"$name\"}"
}

# A job whose own token is refused twice has been superseded or given up: it saves and ends.
check_token() {
  request GET "$CI_API_V4_URL/job"
  case $code in
    401 | 403 | 404)
      refused=$((refused + 1))
      [ "$refused" -ge 2 ] || return 0
      say 'GitLab does not take this job for a running one any more: it saves its work and ends.'
      kill -TERM "$WSDASH_MAIN" 2>/dev/null
      refused=0
      ;;
    2??)
      refused=0
      [ "$silent" -ge 3 ] || silent=3
      ;;
  esac
}

# shellcheck disable=SC2317,SC2329  # called by a trap
on_wake() {
  woken=yes
  [ -z "$nap" ] || kill "$nap" 2>/dev/null
}

# The way that heartbeats take, for job.sh.
via() {
  way=
  read -r way 2>/dev/null <"$run/via"
  [ "$way" = "$1" ] || { printf '%s\n' "$1" >"$run/via"; } 2>/dev/null
}

job_report() {
  woken=
  nap=
  refused=0
  silent=0
  tries=0
  find_http
  trap on_wake USR1
  trap : TERM INT HUP
  while kill -0 "$WSDASH_MAIN" 2>/dev/null; do
    woken=
    name_pipeline
    case $code in
      2??)
        [ "$silent" -lt 3 ] || say 'Heartbeats reach GitLab again by name.'
        silent=0 refused=0
        via "$http"
        ;;
      401 | 403 | 404)
        check_token
        ;;
      *) silent=$((silent + 1)) ;;
    esac
    if [ "$silent" -eq 3 ]; then
      say "GitLab does not take the heartbeats by name (status $code): they come by the log until it does."
      via log
      silent=4
    fi
    if is_final; then
      tries=$((tries + 1))
      case $code in 2??) return 0 ;; esac
      [ "$tries" -lt 3 ] || return 0
      continue
    fi
    if [ -z "$woken" ]; then
      sleep "${WSDASH_BEAT_S:-30}" >/dev/null 2>&1 &
      nap=$!
      [ -n "$woken" ] || wait "$nap"
      kill "$nap" 2>/dev/null
      nap=
    fi
  done
}

job_pulse() {
  http=line
  before=
  while kill -0 "$WSDASH_MAIN" 2>/dev/null; do
    compose_name
    [ "$name" = "$before" ] || printf '%s\n' "$name" 2>/dev/null || exit 0
    before=$name
    sleep 1
  done
}

case ${1:-} in
  start) job_start ;;
  after) job_after ;;
  report) job_report ;;
  pulse) job_pulse ;;
  restore) job_restore ;;
  *) printf 'usage: sh gitlab.sh start|after|report|pulse|restore\n' >&2; exit 64 ;;
esac
