#!/bin/sh
# The command of the service that provides the editor: copies it from the service's image into the folder that the job shares
# with its services, where gitlab.sh waits for `complete`.

tools=/builds/.wsdash-tools
found=$(find / -xdev -type d -name vscode-reh-web 2>/dev/null | head -n 1)
mkdir -p "$tools" && cp -R "$found" "$tools/" && touch "$tools/complete"
