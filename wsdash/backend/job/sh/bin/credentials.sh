#!/bin/sh
# Git's credentials from the user's machine, which is asked each time through the tunnel: none are stored in the job.
#
#   sh credentials.sh get      Git's credential helper; without a tunnel or an answer, Git asks its next helper
#   sh credentials.sh serve    passes questions to stdout, and answers from stdin back
#
# A question is a line, get ID PROTOCOL HOST [PATH]; its answer is a line with the ID, and lines as of `git credential` up to an
# empty one. Environment: WSDASH_RUN; WSDASH_CREDENTIALS: addresses of hosts and repositories for which the user's machine has
# credentials, so that this script waits for its answer.

here=${0%/*}
# shellcheck source=/dev/null
. "$here/common.sh"

folder=$WSDASH_RUN/credentials
umask 077

is_served() {
  server=
  read -r server 2>/dev/null <"$folder/server"
  [ -n "$server" ] && kill -0 "$server" 2>/dev/null
}

get() {
  protocol=
  host=
  path=
  while IFS='=' read -r key value && [ -n "$key" ]; do
    case $key in
      protocol) protocol=$value ;;
      host) host=$value ;;
      path) path=$value ;;
    esac
  done
  case $protocol$host in '' | *[!A-Za-z0-9.:_-]*) exit 0 ;; esac
  case $path in *[!A-Za-z0-9._~/+-]*) path= ;; esac
  seconds_left=0
  case " ${WSDASH_CREDENTIALS:-} " in
    *" $protocol://$host "* | *" $protocol://$host/${path:-/} "*) seconds_left=${WSDASH_RECEIVE_S:-120} ;;
  esac
  until is_served; do
    if [ "$seconds_left" -le 0 ] || [ -e "$WSDASH_RUN/unreachable" ]; then exit 0; fi
    sleep 1
    seconds_left=$((seconds_left - 1))
  done
  answer=$folder/answer.$$
  rm -f "$answer"
  printf 'get %s %s %s%s\n' "$$" "$protocol" "$host" "${path:+ $path}" >"$folder/question.$$" && mv "$folder/question.$$" "$folder/asked.$$"
  waited=0
  until [ -e "$answer" ] || [ "$waited" -ge 100 ]; do
    pause 0.2
    waited=$((waited + 1))
  done
  cat "$answer" 2>/dev/null
  rm -f "$answer" "$folder/asked.$$"
}

serve() {
  exec 2>/dev/null
  mkdir -p "$folder"
  rm -f "$folder"/asked.*
  printf '%s\n' "$$" >"$folder/server"
  while kill -0 "$WSDASH_JOB_PID"; do
    for question in "$folder"/asked.*; do
      [ -e "$question" ] || continue
      read -r line <"$question"
      rm -f "$question"
      printf '%s\n' "$line" || exit 0
      read -r id || exit 0
      case $id in '' | *[!0-9]*) exit 0 ;; esac
      while read -r field && [ -n "$field" ]; do
        printf '%s\n' "$field"
      done >"$folder/answer.new"
      mv "$folder/answer.new" "$folder/answer.$id"
    done
    pause 0.3
  done
}

case ${1:-} in
  get) get ;;
  serve) serve ;;
  store | erase) ;;
  *) printf 'usage: sh credentials.sh get|serve\n' >&2; exit 64 ;;
esac
