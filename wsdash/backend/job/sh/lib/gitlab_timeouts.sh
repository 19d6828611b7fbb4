# shellcheck shell=sh disable=SC2154
# Sourced by gitlab.sh: when the job ends by itself, before GitLab's timeout ends it, after which neither its after_script nor
# the upload of the cache runs. The shares are those of timeouts.py.
#
# WSDASH_DEADLINE (seconds of the script after which it ends) and WSDASH_SAVE_S (seconds for the last checkpoint) come from
# the context's limit. CI_JOB_TIMEOUT is GitLab's value for the job (15.7 and later): the earliest of the project's, the
# job's and the runner's own, in seconds from CI_JOB_STARTED_AT on.

# seconds_of INSTANT: prints the seconds since the epoch of 2026-11-30T15:04:13Z; not every `date` can parse that.
seconds_of() {
  case $1 in
    [0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]T[0-9][0-9]:[0-9][0-9]:[0-9][0-9]*) ;;
    *) return 1 ;;
  esac
  at=$1
  year=${at%%-*} at=${at#*-}
  month=${at%%-*} at=${at#*-}
  day=${at%%T*} at=${at#*T}
  hour=${at%%:*} at=${at#*:}
  minute=${at%%:*} at=${at#*:}
  second=${at%"${at#??}"}
  # 08 would be an octal number.
  month=${month#0} day=${day#0} hour=${hour#0} minute=${minute#0} second=${second#0}
  # Days from the civil calendar, whose year begins in March.
  [ "$month" -gt 2 ] || { year=$((year - 1)) month=$((month + 12)); }
  days=$((365 * year + year / 4 - year / 100 + year / 400 + (153 * (month - 3) + 2) / 5 + day - 1 - 719468))
  echo $((((days * 24 + hour) * 60 + minute) * 60 + second))
}

# At the start of the script. Sets WSDASH_DEADLINE to the earliest end, and `limits_from`.
set_limits() {
  set_now
  limits_from=$now
  limit=${CI_JOB_TIMEOUT:-}
  case $limit in '' | *[!0-9]* | ??????????*) return 0 ;; esac
  share=$((limit / 20))
  [ "$share" -le 300 ] || share=300
  # Images and the cache took time before. GitLab's and the runner's clocks may differ, so it is at most half of the limit.
  before=0
  if started=$(seconds_of "${CI_JOB_STARTED_AT:-}"); then before=$(($(date +%s) - started)); fi
  [ "$before" -ge "$share" ] || before=$share
  [ "$before" -le $((limit / 2)) ] || before=$((limit / 2))
  own=$((limit - before - 3 * share))
  case ${WSDASH_DEADLINE:-} in '' | *[!0-9]*) WSDASH_DEADLINE=$((own + 1)) ;; esac
  if [ "$own" -lt "$WSDASH_DEADLINE" ]; then
    WSDASH_DEADLINE=$own
    say "A timeout of the runner or the project ends this job after $limit s: it ends by itself before, and the next job continues."
  fi
  case ${WSDASH_SAVE_S:-} in '' | *[!0-9]*) WSDASH_SAVE_S=60 ;; esac
  [ "$WSDASH_SAVE_S" -le $((share / 2)) ] || WSDASH_SAVE_S=$((share / 2))
  [ "$WSDASH_SAVE_S" -ge 1 ] || WSDASH_SAVE_S=1
  export WSDASH_DEADLINE WSDASH_SAVE_S
}

# Called before job.sh starts to count: subtracts the time that has passed since.
deduct_elapsed() {
  set_now
  case ${WSDASH_DEADLINE:-} in '' | *[!0-9]*) return 0 ;; esac
  WSDASH_DEADLINE=$((WSDASH_DEADLINE - now + limits_from))
  [ "$WSDASH_DEADLINE" -ge 1 ] || WSDASH_DEADLINE=1
  export WSDASH_DEADLINE
}
