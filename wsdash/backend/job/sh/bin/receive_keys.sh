#!/bin/sh
# Receives the keys of the encrypted cache from the user's machine through the tunnel: on standard input, a line of two words of
# 64 hexadecimal digits. cache_encryption.sh reads them. Environment: WSDASH_RUN.

umask 077
IFS=' ' read -r key mac_key || exit 1
case $key$mac_key in *[!0-9a-f]*) exit 1 ;; esac
[ "${#key}" -eq 64 ] && [ "${#mac_key}" -eq 64 ] || exit 1
printf '%s %s\n' "$key" "$mac_key" >"$WSDASH_RUN/keys.new" && mv "$WSDASH_RUN/keys.new" "$WSDASH_RUN/keys"
echo taken
