#!/bin/sh
# Receives imported files from the user's machine, as a tar on standard input, once for a job that expects them: completely or
# not at all. `complete` is the last member, because tar does not notice a truncation between two members. Sent through
# the tunnel as one program. Environment: PROJECTS_ROOT, WSDASH_RUN.

run=$WSDASH_RUN
root=$(cd "$PROJECTS_ROOT/.." && pwd) && incoming=$run/incoming.$$ && cd "$run" || exit 1
[ -e expects ] || exit 0
umask 077
if ! { mkdir "$incoming" && tar -C "$incoming" -xpf - && [ -f "$incoming/complete" ] && mv expects "$incoming/expects"; }; then
  rm -rf "$incoming"
  exit 1
fi

# replace NAME: replaces a folder of the workspace by the imported one, if there is one
replace() {
  [ ! -d "$incoming/$1" ] || { rm -rf "${root:?}/$1" && mv "$incoming/$1" "$root/$1"; }
}

replace projects && replace home || exit 1
for volume in "$incoming"/volumes/*; do
  replace "volumes/${volume##*/}" || exit 1
done
rm -rf "$incoming"
: >received
