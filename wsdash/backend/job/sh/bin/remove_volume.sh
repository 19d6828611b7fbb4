#!/bin/sh
# Removes the folder of a deleted workspace from the volume of its runner.
# Environment: WSDASH_VOLUME, WSDASH_WORKSPACE.
folder="${WSDASH_VOLUME:?}/${WSDASH_WORKSPACE:?}"
if ! [ -d "$WSDASH_VOLUME" ]; then
  echo "wsdash: this runner mounts nothing at $WSDASH_VOLUME, so it does not have $folder."
  exit 1
fi
# The target of a link does not belong to this workspace.
[ -L "$folder" ] || chmod -R u+rwX "$folder" 2>/dev/null || :
rm -rf "$folder" 2>/dev/null
if [ -d "$folder" ] && ! [ -L "$folder" ] && [ -z "$(ls -A "$folder")" ]; then
  echo "wsdash: $folder is empty now; it is a mount point, so it stays."
  exit 0
fi
if [ -e "$folder" ] || [ -L "$folder" ]; then
  echo "wsdash: $folder cannot be removed by this job's user, $(id -un 2>/dev/null || id -u)."
  exit 1
fi
echo "wsdash: $folder is removed."
