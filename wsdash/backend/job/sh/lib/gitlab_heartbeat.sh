# shellcheck shell=sh disable=SC2154
# Sourced by gitlab.sh: the heartbeat, as the name of the pipeline and as lines through the tunnel. Its facts come from the
# files of the run folder.

# add_fact NAME=VALUE: GitLab accepts 255 characters, so facts that do not fit are left out.
add_fact() {
  longer="$name $1"
  [ "${#longer}" -gt 255 ] || name=$longer
}

# Whether a file can be written and read again: the disk may be full, over a quota, without inodes, or read-only.
can_write() {
  mark=$$.$now
  { printf '%s\n' "$mark" >"$run/probe.$$"; } 2>/dev/null
  found=
  read -r found 2>/dev/null <"$run/probe.$$"
  rm -f "$run/probe.$$" 2>/dev/null
  [ "$found" = "$mark" ]
}

# job.sh passes its heartbeats in a file. If the disk is not writable, the job is still alive, and this process counts the
# heartbeats instead: only in a running job can the user free space.
check_disk() {
  disk_unwritable=
  every=${WSDASH_BEAT_S%%.*}
  case $every in '' | *[!0-9]* | 0) every=1 ;; esac
  if [ $((now - at)) -gt "$every" ] && ! can_write; then
    seq=$((seq + (now - at) / every))
    at=$now
    disk_unwritable=yes
  fi
}

# Reads the state, and the last heartbeat of job.sh. Sets `name`.
compose_name() {
  read_state
  set_now
  at=0 seq=0 load=- memory=- disk=- active=- shells=-
  read -r at seq load memory disk active shells 2>/dev/null <"$run/beat"
  # Before the first heartbeat of job.sh, the state is unpacked, or the job waits for it.
  if [ "${at:-0}" -eq 0 ]; then at=$now seq=0; fi
  check_disk
  name="wsdash/$WSDASH_WORKSPACE $WSDASH_ATTEMPT $at $state $seq config=$WSDASH_CONFIG owner=$WSDASH_OWNER via=$http"
  read -r started 2>/dev/null <"$run/started" && add_fact "started=$started"
  case ${CI_DEBUG_TRACE:-} in [Tt]rue | TRUE | 1) add_fact debug=trace ;; esac
  failed=0
  while read -r _; do failed=$((failed + 1)); done 2>/dev/null <"$run/failed"
  [ "$failed" -eq 0 ] || add_fact "failed=$failed"
  [ -z "$disk_unwritable" ] || add_fact run=unwritable
  server=
  if [ -e "$run/access/enrolled" ] && ! is_final; then
    read -r server 2>/dev/null <"$run/access/pid"
    kill -0 "$server" 2>/dev/null || add_fact ssh=down
  fi
  read -r stored 2>/dev/null <"$run/stored" && add_fact "state=$stored"
  read -r left 2>/dev/null <"$run/left" && add_fact "left=$left"
  read -r from 2>/dev/null <"$run/from" && add_fact "from=$from"
  read -r aside 2>/dev/null <"$run/aside" && add_fact "aside=$aside"
  read -r problem 2>/dev/null <"$run/facts" && add_fact "$problem"
  read -r way_in 2>/dev/null <"$run/tunnel" && add_fact "tunnel=$way_in"
  read -r kept 2>/dev/null <"$run/kept" && add_fact "kept=$kept"
  saved=
  read -r saved 2>/dev/null <"$run/saved" && add_fact "saved=$saved"
  read -r saved_by 2>/dev/null <"$run/saved-by" && add_fact "by=$saved_by"
  read -r remote 2>/dev/null <"$run/remote-checkpoint" && add_fact "remote=$remote"
  unsaved=
  read -r unsaved 2>/dev/null <"$run/unsaved"
  [ -z "$disk_unwritable" ] || unsaved=disk
  [ -z "$unsaved" ] || add_fact "unsaved=$unsaved"
  [ "${active:--}" = - ] || add_fact "active=$active"
  [ "${shells:--}" = - ] || add_fact "shells=$shells"
  [ "$load" = - ] || add_fact "load=$load"
  [ "$memory" = - ] || add_fact "memory=$memory"
  [ "$disk" = - ] || add_fact "disk=$disk"
}

# Sends one request. Sets `code`.
name_pipeline() {
  compose_name
  request PUT "$CI_API_V4_URL/projects/$CI_PROJECT_ID/pipelines/$CI_PIPELINE_ID/metadata" "{\"name\":\"$name\"}"
}

# A job whose own token is rejected twice has been superseded or given up: it saves and ends.
check_token() {
  request GET "$CI_API_V4_URL/job"
  case $code in
    401 | 403 | 404)
      refused=$((refused + 1))
      [ "$refused" -ge 2 ] || return 0
      say 'GitLab no longer accepts the token of this job: the job saves its work and ends.'
      kill -TERM "$WSDASH_JOB_PID" 2>/dev/null
      refused=0
      ;;
    2??)
      refused=0
      [ "$silent" -ge 3 ] || silent=3
      ;;
  esac
}

# set_via WAY: sets the way that heartbeats take, for job.sh.
set_via() {
  way=
  read -r way 2>/dev/null <"$run/via"
  [ "$way" = "$1" ] || { printf '%s\n' "$1" >"$run/via"; } 2>/dev/null
}

job_report() {
  woken=
  refused=0
  silent=0
  tries=0
  find_http
  trap on_wake USR1
  trap : TERM INT HUP
  while kill -0 "$WSDASH_JOB_PID" 2>/dev/null; do
    woken=
    name_pipeline
    case $code in
      2??)
        [ "$silent" -lt 3 ] || say 'GitLab accepts heartbeats in the name of the pipeline again.'
        silent=0 refused=0
        set_via "$http"
        ;;
      401 | 403 | 404)
        check_token
        ;;
      *) silent=$((silent + 1)) ;;
    esac
    if [ "$silent" -eq 3 ]; then
      say "GitLab does not accept heartbeats in the name of the pipeline (status $code): they go through the job log until it does."
      set_via log
      silent=4
    fi
    if is_final; then
      tries=$((tries + 1))
      case $code in 2??) return 0 ;; esac
      [ "$tries" -lt 3 ] || return 0
      continue
    fi
    if [ -z "$woken" ]; then
      nap "${WSDASH_BEAT_S:-30}"
    fi
  done
}

job_heartbeats() {
  http=tunnel
  before=
  while kill -0 "$WSDASH_JOB_PID" 2>/dev/null; do
    compose_name
    [ "$name" = "$before" ] || printf '%s\n' "$name" 2>/dev/null || exit 0
    before=$name
    sleep 1
  done
}
