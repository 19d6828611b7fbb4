# shellcheck shell=sh disable=SC2154,SC2034
# Sourced by job.sh in a GitLab job (WSDASH_EMIT_HOOK): its messages are also stored in files below WSDASH_RUN, from which
# gitlab.sh names the pipeline. Heartbeats stay out of the log while they arrive that way: a log stops at 4 MB.
# A message in the log erases itself like GitLab's own section marks, so that a reader of the log does not see it.

beat_seq=0
read -r _ beat_seq _ 2>/dev/null <"$WSDASH_RUN/beat"

# If the disk is not writable, the old file stays: gitlab_heartbeat.sh then reports that.
report_state() {
  { printf '%s\n' "$1" >"$WSDASH_RUN/state.new" && mv "$WSDASH_RUN/state.new" "$WSDASH_RUN/state"; } 2>/dev/null
}

wake_reporter() {
  reporter=
  read -r reporter 2>/dev/null <"$WSDASH_RUN/reporter"
  [ -z "$reporter" ] || kill -USR1 "$reporter" 2>/dev/null
}

log_message() {
  printf 'wsdash/1 %s %s\r\033[0K' "$1" "$2"
}

# A newer attempt in another container, from which this job is invisible, waits for the folder that this job has locked
# (claim_folder.sh).
yield_to_newer() {
  own=${WSDASH_ATTEMPT#*.}
  for file in "${WSDASH_RUN%/*}/wanted" "${PROJECTS_ROOT%/*}/wanted"; do
    newest=
    read -r newest 2>/dev/null <"$file"
    case $newest in '' | *[!0-9]*) continue ;; esac
    [ "$newest" -gt "${own%%.*}" ] || continue
    say "The newer attempt $newest of this workspace waits for its folder: this job saves its work and ends."
    kill -TERM "$WSDASH_JOB_PID" 2>/dev/null
  done
}

# shellcheck disable=SC2317,SC2329  # called by job.sh
emit() {
  case $1 in
    beat)
      yield_to_newer
      beat_seq=$((beat_seq + 1))
      {
        printf '%s %s %s %s %s %s %s\n' "$now" "$beat_seq" "${load:--}" "${memory:--}" "${disk_free:--}" \
          "${active:--}" "${shells:--}" \
          >"$WSDASH_RUN/beat.new" && mv "$WSDASH_RUN/beat.new" "$WSDASH_RUN/beat"
      } 2>/dev/null
      [ "$beat_seq" -eq 1 ] || [ $((beat_seq % ${WSDASH_REPORT_EVERY:-1})) -eq 0 ] || return 0
      beats_via=log
      read -r beats_via 2>/dev/null <"$WSDASH_RUN/via"
      [ "$beats_via" != log ] || log_message "$1" "$2"
      ;;
    step)
      log_message "$1" "$2"
      case $2 in
        *'"state":"end"'*'"exit":0}') ;;
        *'"state":"end"'*) { printf 'failed\n' >>"$WSDASH_RUN/failed"; } 2>/dev/null ;;
        *'"phase":"fetch"'*) report_state fetching ;;
        *'"phase":"preStop"'*) report_state ending ;;
        *) [ -e "$WSDASH_RUN/ready" ] || report_state starting ;;
      esac
      ;;
    ready)
      log_message "$1" "$2"
      { : >"$WSDASH_RUN/ready"; } 2>/dev/null
      report_state ready
      ;;
    end)
      log_message "$1" "$2"
      cause=${2#*'"cause":"'}
      report_state "${cause%%'"'*}"
      ;;
  esac
  wake_reporter
}
