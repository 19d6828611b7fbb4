# shellcheck shell=sh
# Sourced by job.sh: the ports that the workspace's processes listen on, a line ADDRESS PORT PROGRAM each, the first two as in
# /proc/net/tcp. On a machine with other processes, the environment of a process shows whether it belongs to the workspace.

is_alone() {
  [ -n "${CI_DISPOSABLE_ENVIRONMENT:-}" ] || grep -qsF "PROJECTS_ROOT=$PROJECTS_ROOT" /proc/1/environ
}

job_listening() {
  sockets=
  for table in /proc/net/tcp /proc/net/tcp6; do
    while read -r _ local _ state _ _ _ _ _ inode _; do
      [ "$state" != 0A ] || sockets="$sockets $inode=$local"
    done 2>/dev/null <"$table"
  done
  # The SSH server of the job is not the user's.
  own_port=
  read -r own_port 2>/dev/null <"${WSDASH_RUN:-/nowhere}/access/port"
  alone=no
  ! is_alone || alone=yes
  for process in /proc/[0-9]*; do
    [ "$alone" = yes ] || grep -qsF "PROJECTS_ROOT=$PROJECTS_ROOT" "$process/environ" || continue
    held=$(ls -l "$process/fd" 2>/dev/null)
    for socket in $sockets; do
      case $held in
        *"socket:[${socket%%=*}]"*)
          address=${socket#*=}
          [ "$((0x${address##*:}))" != "$own_port" ] || continue
          program=
          read -r program 2>/dev/null <"$process/comm"
          printf '%s %s %s\n' "${address%:*}" "${address##*:}" "$program"
          ;;
      esac
    done
  done
}
