#!/bin/sh
# The way into the workspace: an SSH server on loopback, and a line to the relay on the user's machine.
#
#   sh tunnel.sh dial      started by gitlab.sh; ends with it
#   sh tunnel.sh enter     what the SSH server runs for each session
#
# Environment: WSDASH_RELAY (host and port), WSDASH_RELAY_KEY (the relay's public key), WSDASH_USER_KEY (the user's),
# WSDASH_ATTEMPT (the name to log in by), WSDASH_RUN, WSDASH_PROOF (a file, which is removed once it has been shown).

here=${0%/*}
# shellcheck source=/dev/null
. "$here/common.sh"
access=${here%/job}/access

# The builds folder of a runner may have any name.
quoted=$(in_quotes "$here")
literal=$(printf '%s' "$access" | sed 's/%/%%/g')

# --- the SSH server -----------------------------------------------------------------------------------

# Sets `server` to the image's SSH server, and `kind`.
find_server() {
  kind=openssh
  for server in "$(command -v sshd 2>/dev/null)" /usr/sbin/sshd /usr/local/sbin/sshd; do
    [ -n "$server" ] && [ -x "$server" ] && return 0
  done
  kind=dropbear
  for server in "$(command -v dropbear 2>/dev/null)" /usr/sbin/dropbear /usr/local/sbin/dropbear; do
    [ -n "$server" ] && [ -x "$server" ] && have dropbearkey && return 0
  done
  return 1
}

# Sets `login` to the name of this user. ssh, sshd and ssh-keygen refuse a user without one, as pods of OpenShift have it
# by their rules, with group 0 and a password file which that may write to.
find_login() {
  if login=$(id -un 2>/dev/null) && [ -n "$login" ]; then return 0; fi
  login=wsdash
  grep -q '^wsdash:' /etc/passwd 2>/dev/null && login="wsdash$(id -u)"
  [ -w /etc/passwd ] &&
    printf '%s:x:%s:%s::%s:/bin/sh\n' "$login" "$(id -u)" "$(id -g)" "${HOME:-/}" >>/etc/passwd 2>/dev/null &&
    id -un >/dev/null 2>&1
}

make_key() {
  [ -f "$access/$1" ] || ssh-keygen -q -t ed25519 -N '' -C '' -f "$access/$1" </dev/null
}

make_host_key() {
  if [ "$kind" = openssh ]; then make_key host_key; return; fi
  [ -f "$access/host_key" ] || dropbearkey -t ed25519 -f "$access/host_key" >/dev/null 2>&1 </dev/null || return
  dropbearkey -y -f "$access/host_key" 2>/dev/null | grep '^ssh-' >"$access/host_key.pub"
}

# Only newer ones of dropbear can be told where the keys are. The others look into the home of the user, which may be
# written to only where it is the job's own: in a container.
let_user_in() {
  authorized=
  if [ "$kind" = openssh ]; then
    printf '%s\n' "$WSDASH_USER_KEY" >"$access/authorized_keys"
  elif "$server" -h 2>&1 | grep -q '^-D'; then
    mkdir -p "$access/keys"
    printf '%s\n' "$WSDASH_USER_KEY" >"$access/keys/authorized_keys"
    authorized="$access/keys"
  elif [ -n "${CI_DISPOSABLE_ENVIRONMENT:-}" ]; then
    home=$(getent passwd "$(id -u)" 2>/dev/null || grep "^[^:]*:[^:]*:$(id -u):" /etc/passwd)
    home=$(printf '%s\n' "$home" | cut -d : -f 6)
    mkdir -p "${home:?}/.ssh" && printf '%s\n' "$WSDASH_USER_KEY" >>"$home/.ssh/authorized_keys"
  else
    return 1
  fi
}

configure_sshd() {
  mkdir -p "$access/home"
  cat >"$access/sshd_config" <<EOF
Port $port
ListenAddress 127.0.0.1
HostKey "$access/host_key"
HostCertificate "$access/host_key-cert.pub"
AuthorizedKeysFile "$literal/authorized_keys"
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
StrictModes no
PermitRootLogin prohibit-password
PidFile none
MaxStartups 100
MaxAuthTries 100
X11Forwarding no
AllowAgentForwarding yes
ForceCommand sh '$quoted/tunnel.sh' enter
Subsystem sftp ${sftp:-internal-sftp}
SetEnv SHLVL=1 "HOME=$access/home"
EOF
  # The user's shell starts each session. What its start-up files print or wait for is none of ours: bash reads them where it
  # takes itself for the first shell, zsh, fish and tcsh always. They look into an empty home; `enter` has the job's again.
  # Before OpenSSH 7.8 there is no such setting.
  "$server" -t -f "$access/sshd_config" 2>/dev/null || sed -i '/^SetEnv /d' "$access/sshd_config"
}

# At `port`: `serving` is set. Whoever asks whether it runs must have waited for something since it ended.
serve() {
  if [ "$kind" = openssh ]; then
    configure_sshd
    "$server" -D -e -f "$access/sshd_config" >"$access/server.log" 2>&1 </dev/null &
  else
    # By SHLVL, bash takes itself for no first shell, and reads no start-up files. Of old ones no session has it.
    inherit=
    ! "$server" -h 2>&1 | grep -q '^-e' || inherit=-e
    env -i PATH="$PATH" SHLVL=1 "$server" -F -E -s -m -p "127.0.0.1:$port" -r "$access/host_key" -P "$access/server.pid" \
      -W 1048576 $inherit ${authorized:+-D "$authorized"} -c "sh '$quoted/tunnel.sh' enter" \
      >"$access/server.log" 2>&1 </dev/null &
  fi
  serving=$!
}

# Tries ports until one is free, and sees to it that the server comes back: `port` and `keeper` are set.
start_server() {
  tries=0
  while [ "$tries" -lt 20 ]; do
    port=$((20000 + ($$ + tries * 1013) % 20000))
    serve
    sleep 1
    if kill -0 "$serving" 2>/dev/null; then
      printf '%s\n' "$port" >"$access/port"
      printf '%s\n' "$serving" >"$access/pid"
      keep_serving &
      keeper=$!
      return 0
    fi
    tries=$((tries + 1))
  done
  return 1
}

# The line leads to the server's port, and stands meanwhile, as do its sessions. The server outlives no job that was killed.
keep_serving() {
  while kill -0 "$WSDASH_MAIN" 2>/dev/null; do
    if ! kill -0 "$serving" 2>/dev/null; then
      say 'The SSH server has ended, and is started again.'
      serve
      printf '%s\n' "$serving" >"$access/pid"
    fi
    sleep 2 >/dev/null 2>&1
  done
  kill "$serving" 2>/dev/null
}

# --- the line -----------------------------------------------------------------------------------------

# What ssh says is in the file answer. It runs beside, for a trap waits for what runs in front. It is started in the folder
# of its files, for in a path it would split at blanks and expand % and $.
ask_relay() {
  cd "$access" || return
  ssh -F /dev/null -o UserKnownHostsFile=known_hosts -o GlobalKnownHostsFile=known_hosts \
    -o HostKeyAlias=wsdash-relay -o StrictHostKeyChecking=yes -o IdentityFile=job_key \
    -o IdentitiesOnly=yes -o ConnectTimeout=15 -o ServerAliveInterval=10 -o ServerAliveCountMax=3 \
    -o Ciphers=aes128-gcm@openssh.com,aes256-gcm@openssh.com,chacha20-poly1305@openssh.com \
    -o ExitOnForwardFailure=yes -p "${WSDASH_RELAY##* }" "$@" \
    "$WSDASH_ATTEMPT@${WSDASH_RELAY%% *}" >"$access/answer" 2>&1 </dev/null &
  line=$!
  wait "$line"
}

answered() {
  grep -q "$1" "$access/answer" 2>/dev/null
}

# Shows the proof with the two public keys and this user's name, in parts, for ssh takes at most a kilobyte at a prompt.
# The answer holds the certificate of the server's key, or says that there is none.
enrol() {
  {
    cat "$WSDASH_PROOF"
    for key in job_key host_key; do
      read -r type data _ <"$access/$key.pub"
      printf ' %s:%s' "$type" "$data"
    done
    [ "$kind" = openssh ] || printf ' plain'
    printf ' user=%s' "$login"
    echo
  } | tr -d '\n' >"$access/told"
  cat >"$access/ask" <<EOF
#!/bin/sh
part=\${1##*part }
part=\${part%%:*}
cut -c \$((part * 900 - 899))-\$((part * 900)) '$(in_quotes "$access")/told'
EOF
  chmod 700 "$access/ask"
  SSH_ASKPASS=$access/ask SSH_ASKPASS_REQUIRE=force DISPLAY=none:0
  export SSH_ASKPASS SSH_ASKPASS_REQUIRE DISPLAY
  ask_relay -N -o PubkeyAuthentication=no -o NumberOfPasswordPrompts=1
  rm -f "$access/told"
  tr -d '\r' <"$access/answer" | sed -n 's/^wsdash-host-certificate //p' >"$access/host_key-cert.pub"
  unset SSH_ASKPASS SSH_ASKPASS_REQUIRE DISPLAY
}

# shellcheck disable=SC2317,SC2329  # called by a trap
end() {
  # They ignore what this process ignores.
  [ -z "${keeper:-}" ] || kill -KILL "$keeper" 2>/dev/null
  [ ! -f "$access/pid" ] || kill "$(cat "$access/pid")" 2>/dev/null
  for process in ${line:-} $nap_pid; do kill -KILL "$process" 2>/dev/null; done
  exit 0
}

# Nobody waits for what can only come by the line.
give_up() {
  say "$1"
  : >"$WSDASH_RUN/unreachable"
  exit 0
}

dial() {
  umask 077
  mkdir -p "$access"
  if ! have ssh || ! have ssh-keygen; then
    give_up 'The image has no ssh, so there is no way in from your machine: only its log and its state are seen.'
  fi
  if ! find_server; then
    give_up 'The image has no SSH server (openssh-server or dropbear), so there is no way in from your machine.'
  fi
  if ! find_login; then
    give_up "The job's user $(id -u) has no name in the image (/etc/passwd), and ssh does not work without: there is no \
way in from your machine."
  fi
  for sftp in /usr/lib/openssh/sftp-server /usr/libexec/openssh/sftp-server /usr/lib/ssh/sftp-server; do
    [ ! -x "$sftp" ] || break
    sftp=
  done
  [ "$(id -u)" -ne 0 ] || mkdir -p /run/sshd
  if ! { make_key job_key && make_host_key; }; then
    give_up 'No keys could be made, so there is no way in from your machine.'
  fi
  if ! let_user_in; then
    give_up "The image's dropbear is too old to be let in by outside of a container: install openssh-server."
  fi
  printf 'wsdash-relay %s\n' "$WSDASH_RELAY_KEY" >"$access/known_hosts"
  # A runner that ends the job signals every process of it, and the last checkpoint needs the line.
  trap '' TERM INT HUP
  trap end USR1
  delay=0.3
  refused=0
  enrolled=
  while kill -0 "$WSDASH_MAIN" 2>/dev/null; do
    if [ -z "$enrolled" ]; then
      enrol
      # Not by how the connection ended: a relay that must make room ends one without a word.
      if answered '^wsdash-enrolled\|^wsdash-host-certificate'; then
        enrolled=yes
        delay=0.3
        rm -f "$WSDASH_PROOF"
        if ! start_server; then
          give_up "The image's SSH server does not start, so there is no way in from your machine: $(
            tail -n 1 "$access/server.log"
          )"
        fi
      fi
    fi
    if [ -n "$enrolled" ]; then
      say "Your machine is dialled: wsdash ssh leads here."
      began=$(date +%s)
      ask_relay -N -o BatchMode=yes -R "/wsdash/$WSDASH_WORKSPACE:127.0.0.1:$port"
      say "The line to your machine is down; it is dialled again."
      [ "$(($(date +%s) - began))" -lt 30 ] || delay=0.3 refused=0
    fi
    if answered 'Permission denied'; then
      refused=$((refused + 1))
      # It may not know of this job yet: nobody may be there who looks.
      if [ "$refused" -ge 3 ]; then
        [ "$refused" -gt 3 ] || say 'Your machine does not let this job in. It is asked again now and then.'
        delay=20
      fi
    elif answered 'Host key verification failed'; then
      say 'Whoever answers in the place of your machine is not it, and is told nothing.'
      delay=60
    fi
    pause "$delay" >/dev/null 2>&1 &
    nap_pid=$!
    wait "$nap_pid"
    case $delay in
      0.3) delay=1 ;;
      *) [ "$delay" -ge 20 ] || delay=$((delay * 2 + $$ % 2)) ;;
    esac
  done
  end
}

# --- a session ----------------------------------------------------------------------------------------

enter() {
  # shellcheck source=/dev/null
  . "$access/environment"
  case ${SSH_ORIGINAL_COMMAND:-} in
    # No sessions of the user's, from which activity is told.
    'wsdash-checkpoint '*)
      # shellcheck disable=SC2086
      exec sh "$here/checkpoint.sh" ${SSH_ORIGINAL_COMMAND#* }
      ;;
    wsdash-stop)
      kill -TERM "$WSDASH_MAIN" && echo stopping
      exit
      ;;
    wsdash-keys) exec sh "$here/receive_keys.sh" ;;
    wsdash-pulse) exec sh "$here/gitlab.sh" pulse ;;
    wsdash-listening | wsdash-shells) exec sh "$here/job.sh" "${SSH_ORIGINAL_COMMAND#wsdash-}" "$here/workload.sh" ;;
    'wsdash-credentials serve') exec sh "$here/credentials.sh" serve ;;
  esac
  if [ -n "${SSH_ORIGINAL_COMMAND:-}" ]; then
    exec sh "$here/job.sh" enter "$here/workload.sh" sh -c "$SSH_ORIGINAL_COMMAND"
  fi
  if have tmux && [ -t 0 ]; then
    exec sh "$here/job.sh" enter "$here/workload.sh" sh "$here/terminal.sh" enter
  fi
  exec sh "$here/job.sh" enter "$here/workload.sh"
}

case ${1:-} in
  dial) dial ;;
  enter) enter ;;
  *) printf 'usage: sh tunnel.sh dial|enter\n' >&2; exit 64 ;;
esac
