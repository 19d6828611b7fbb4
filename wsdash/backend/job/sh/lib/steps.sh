# shellcheck shell=sh disable=SC2154,SC2034,SC2317,SC2329
# Sourced by job.sh: the words of the rendered workload (`run`, `once`, `await`, `expect`, `ready`), and the report of each
# step.

step_started() {
  set_now
  emit step "{\"phase\":\"$1\"${2:+,\"command\":\"$2\"},\"state\":\"start\",\"at\":$now}"
}

step_ended() {
  set_now
  emit step "{\"phase\":\"$1\"${2:+,\"command\":\"$2\"},\"state\":\"end\",\"at\":$now,\"exit\":$3}"
}

# run ID FOLDER LINE [NAME=VALUE...]: one command of the rendered workload. A relative FOLDER is below the
# project's. The environment is set in the subshell only: the workload's PATH must not break this script;
# after that only positional parameters are used, because the workload may use this script's names of variables.
run() {
  id=$1
  shift
  step_started "$phase" "$id"
  (
    cd "$PROJECT_SOURCE" && { [ -z "$1" ] || cd "$1"; } || exit 1
    environment
    set -- "$@" "$2"
    shift 2
    while [ "$#" -gt 1 ]; do
      export "${1?}"
      shift
    done
    exec sh -c "$1"
  ) </dev/null
  status=$?
  [ "$status" -eq 0 ] || say "$phase $id failed with exit code $status; the workspace continues."
  step_ended "$phase" "$id" "$status"
  return "$status"
}

# once MARK run ID ...: skipped if it has succeeded in this workspace before.
once() {
  mark=$PROJECTS_ROOT/.wsdash/done/$1
  shift
  if [ -e "$mark" ]; then
    say "$phase $2 was done at an earlier start."
    return 0
  fi
  "$@" && mkdir -p "${mark%/*}" && : >"$mark"
}

# await PID...: fails if one of them does.
await() {
  failed=0
  for pid; do
    wait "$pid" || failed=1
  done
  return "$failed"
}

# expect NAME: checks a variable that the provider, not the workload, defines.
expect() {
  eval "[ -n \"\${$1+set}\" ]" || say "The secret $1 is not set in this job; docs/gitlab.md says how to set it."
}

# The steps that the user waits for are done; the rest runs while the user works.
ready() {
  [ -n "$is_ready" ] || emit ready '{}'
  is_ready=yes
}
