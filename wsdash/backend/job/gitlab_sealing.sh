#!/bin/sh
# What is to be kept, sealed: the cache gets one file that only this workspace's jobs can read and could have written.
# Sourced by gitlab.sh; `take` stands alone.
#
#   sh gitlab_sealing.sh take     the keys, on standard input by the line: two words of 64 hexadecimal digits
#
# $base/sealed/work-MAC is AES-256 by a key that openssl derives from the first word (PBKDF2), of a gzipped tar; MAC is
# its HMAC-SHA256 by the second, which is looked at before anything of it is.
# From gitlab.sh: base, run, dialler, ended. WSDASH_RUN for take.

# shellcheck disable=SC2154
lock() {
  printf 'cache=%s\n' "$1" >"$run/facts"
  say "$2"
}

# Before the line is there.
prepare_sealed() {
  find_sealed
  # What an open cache has brought, of before encrypt_cache was set, is taken along. All else that lies open is of a job that
  # died, on a runner that keeps its folders.
  if [ -n "$sealed" ] || ! [ -f "$base/state/saved" ]; then
    rm -rf "${base:?}/home" "$base/projects" "$base/volumes" "$base/state"
  fi
  if ! have openssl; then
    lock locked 'The image has no openssl, which encrypt_cache needs: nothing goes into the cache, or comes from it.'
  elif [ -z "$sealed" ] && [ "$WSDASH_RESTORES" = yes ] && ! [ -f "$base/state/saved" ]; then
    lock missed 'The saved work did not come with the cache: another runner, or one that cannot reach it.'
  fi
}

find_sealed() {
  # Of two the newer: a job died before it had removed the older.
  # shellcheck disable=SC2012
  sealed=$(ls -t "$base"/sealed/work-* 2>/dev/null | head -n 1)
}

# What the cache brought, opened with the key that the user's machine sends.
open_sealed() {
  [ -n "$sealed" ] && ! [ -f "$run/facts" ] || return 0
  say 'Waiting for the key of the cache, which your machine sends.'
  waited=0
  until [ -f "$run/keys" ]; do
    if [ -z "$dialler" ] || [ -n "$ended" ] || [ -e "$run/unreachable" ] || [ "$waited" -ge "${WSDASH_RECEIVE_S:-120}" ]; then
      lock locked 'It did not come: this job starts afresh, and what is in the cache stays as it is.'
      return
    fi
    sleep 1
    waited=$((waited + 1))
  done
  if ! unseal; then
    lock locked 'The cache was not made with this key, or is damaged: this job starts afresh, and it stays as it is.'
  fi
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

unseal() {
  read_keys && [ "${sealed##*/work-}" = "$(mac_of "$sealed")" ] || return
  opened=$run/opened
  rm -rf "$opened" && mkdir -p "$opened" || return
  cipher -d -in "$sealed" | gzip -dc | tar -C "$opened" -xpf - && [ -f "$opened/state/saved" ] || return
  for folder in home projects volumes state; do
    rm -rf "${base:?}/$folder"
    mv "$opened/$folder" "$base/$folder" || return
  done
}

# At the end: the new one first, then the old one goes. What could not be sealed is told, and the old one stays.
seal() {
  ! [ -f "$run/facts" ] || return 0
  if ! read_keys; then
    lock unsaved 'The key of the cache did not come from your machine: nothing of this job goes into the cache.'
    return 1
  fi
  find_sealed
  mkdir -p "$base/sealed"
  draft=$base/sealed/draft
  mark_saved
  rm -f "$run/unsealed"
  # A file that cannot be read, or changes meanwhile, is no reason to keep none.
  { tar -C "$base" -cf - home projects volumes state 2>/dev/null || [ "$?" -le 2 ] || : >"$run/unsealed"; } |
    gzip -1 | cipher -out "$draft" || : >"$run/unsealed"
  cipher -d -in "$draft" | gzip -t 2>/dev/null || : >"$run/unsealed"
  mac=$(mac_of "$draft")
  if [ -e "$run/unsealed" ] || [ "${#mac}" -ne 64 ] || ! mv "$draft" "$base/sealed/work-$mac"; then
    rm -f "$draft"
    lock unsaved 'The work could not be sealed, so the cache stays as it was: the disk may be full.'
    return 1
  fi
  [ -z "$sealed" ] || [ "$sealed" = "$base/sealed/work-$mac" ] || rm -f "$sealed"
}

# Nothing that is open stays where a runner keeps its folders.
forget_open() {
  rm -f "$run/keys" "$run/key"
  [ -z "${CI_DISPOSABLE_ENVIRONMENT:-}" ] || return 0
  rm -rf "${base:?}/home" "$base/projects" "$base/volumes" "$base/state"
}

if [ "${1:-}" = take ]; then
  umask 077
  IFS=' ' read -r key mac_key || exit 1
  case $key$mac_key in *[!0-9a-f]*) exit 1 ;; esac
  [ "${#key}" -eq 64 ] && [ "${#mac_key}" -eq 64 ] || exit 1
  printf '%s %s\n' "$key" "$mac_key" >"$WSDASH_RUN/keys.new" && mv "$WSDASH_RUN/keys.new" "$WSDASH_RUN/keys"
  echo taken
fi
