# shellcheck shell=sh disable=SC2154,SC2034
# Encrypted caches: the archive of gitlab_storage.sh is one that only this workspace's jobs can read and could have made.
# Sourced by gitlab.sh after gitlab_storage.sh, whose functions of the same names these take the place of.
#
# $base/cache/state-NUMBER.MAC is AES-256 by a key that openssl derives from the first word (PBKDF2), of a gzipped tar; MAC
# is its HMAC-SHA256 by the second, which is looked at before anything of it is.
# From gitlab.sh: base, root, run, tunnel_pid, ended; $run/keys from receive_keys.sh.

# Once the tunnel is there, through which the key comes.
restore_state() {
  finish_swap
  migrate_old_layout
  migrate_old_encrypted
  find_archive
  if [ -z "$archive" ]; then
    have openssl || report_problem cache locked 'The image has no openssl, which encrypt_cache needs: nothing goes into the cache.'
  elif ! is_encrypted "$archive"; then
    # A plain cache of before encrypt_cache was set.
    ! is_newer "$archived" "$(number_of "$root")" || open_archive || keep_damaged
  elif ! open_encrypted; then
    # Plain files that a dead job has left may be anybody's: no job runs from them.
    if [ -d "$root" ] && mv "$root" "$base/replaced"; then
      mkdir -p "$root"
      keep_superseded "$base/replaced"
    fi
  fi
  begin_state
}

# Only one that is encrypted counts where there is one: nobody else could have made it.
may_open() {
  is_encrypted "$1" && return
  for encrypted in "$base"/cache/state-*; do
    ! { [ -e "$encrypted" ] && is_encrypted "$encrypted"; } || return 1
  done
}

# The wsdash before gave it no number.
migrate_old_encrypted() {
  # shellcheck disable=SC2012
  older=$(ls -t "$base"/sealed/work-* 2>/dev/null | head -n 1)
  [ -z "$older" ] || { mkdir -p "$base/cache" && mv "$older" "$base/cache/state-0.1.${older##*/work-}"; }
  rm -rf "$base/sealed"
}

# Opens the archive of the cache with the key that the user's machine sends.
open_encrypted() {
  if ! have openssl; then
    report_problem cache locked 'The image has no openssl, which encrypt_cache needs: nothing goes into the cache, or comes from it.'
    return 1
  fi
  say 'Waiting for the key of the cache, which your machine sends.'
  waited=0
  until [ -f "$run/keys" ]; do
    if [ -z "$tunnel_pid" ] || [ -n "$ended" ] || [ -e "$run/unreachable" ] || [ "$waited" -ge "${WSDASH_RECEIVE_S:-120}" ]; then
      report_problem cache locked "The key did not arrive: this job starts without the state $archived, which stays in the cache."
      return 1
    fi
    sleep 1
    waited=$((waited + 1))
  done
  until open_archive; do
    report_problem cache locked "The state $archived in the cache was not made with this key, or is damaged: it stays in the cache."
    rm -rf "$base/draft"
    unopened="$unopened $archive"
    find_archive
    if [ -z "$archive" ] || ! is_encrypted "$archive"; then return 1; fi
  done
}

read_keys() {
  read -r key mac_key 2>/dev/null <"$run/keys"
}

# bytes HEX MASK: the bytes that the hexadecimal digits stand for, each XORed with the mask. Only the shell itself sees them.
bytes() {
  rest=$1
  while [ -n "$rest" ]; do
    byte=$((0x${rest%"${rest#??}"} ^ $2))
    rest=${rest#??}
    # shellcheck disable=SC2059  # an octal escape is a format
    printf "\\$((byte / 64))$((byte / 8 % 8))$((byte % 8))"
  done
}

sha256() {
  openssl dgst -sha256 2>/dev/null | sed 's/.*[= ]//'
}

# mac_of FILE: HMAC (RFC 2104) as two hashes, for openssl takes the key of its own HMAC as an argument, which others could see.
mac_of() {
  block=${mac_key}0000000000000000000000000000000000000000000000000000000000000000 # 64 bytes: the block of SHA-256
  inner=$({ bytes "$block" 54 && cat "$1"; } | sha256)
  [ "${#inner}" -eq 64 ] && { bytes "$block" 92 && bytes "$inner" 0; } | sha256
}

cipher() {
  # The key stands in no argument, which others could see.
  printf '%s\n' "$key" >"$run/key" && openssl enc -aes-256-ctr -pbkdf2 -md sha256 -pass "file:$run/key" "$@" 2>/dev/null
}

unpack() { # ARCHIVE FOLDER
  if ! is_encrypted "$1"; then
    tar -C "$2" -xpf "$1" 2>/dev/null || incomplete=yes
    return 0
  fi
  read_keys && [ "${1##*.}" = "$(mac_of "$1")" ] || return
  { cipher -d -in "$1" | gzip -dc | tar -C "$2" -xpf -; } 2>/dev/null || incomplete=yes
  # The wsdash before wrote no number.
  if [ "$archived" = 0.1 ] && ! [ -f "$2/packed" ] && [ -f "$2/state/saved" ]; then echo 0.1 >"$2/packed"; fi
}

pack() {
  if ! read_keys; then
    report_problem cache unsaved 'The key of the cache did not arrive from your machine: nothing of this job goes into the cache.'
    return 1
  fi
  # A file that cannot be read, or changes meanwhile, is no reason to keep none.
  # shellcheck disable=SC2086
  tar -C "$root" -cf - home projects volumes state $aside packed 2>/dev/null | gzip -1 | cipher -out "$draft"
  mac=$(mac_of "$draft" 2>/dev/null)
  suffix=.$mac
  [ "${#mac}" -eq 64 ] && [ "$(cipher -d -in "$draft" | gzip -dc 2>/dev/null | tar -tf - 2>/dev/null | tail -n 1)" = packed ] && return
  report_problem cache unsaved 'The work could not be encrypted, so the cache stays as it was: the disk may be full.'
  return 1
}

# No plain copy of what is in the cache stays where a runner keeps its folders.
remove_plaintext() {
  rm -f "$run/keys" "$run/key"
  [ -n "${CI_DISPOSABLE_ENVIRONMENT:-}" ] || ! [ -f "$run/stored" ] || rm -rf "${root:?}"
}
