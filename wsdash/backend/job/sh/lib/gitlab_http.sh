# shellcheck shell=sh disable=SC2154
# Sourced by gitlab.sh: requests to GitLab's API with the job's token, by a program of the image.
# The token goes through standard input or a file that only this user can read, never on a command line. No request needs
# space on the job's disk, which may be full.

# Sets `http` to curl, wget, python3 or node; to none if the image has no program that can send a PUT.
find_http() {
  http=none
  ca=
  [ ! -f "${CI_SERVER_TLS_CA_FILE:-}" ] || ca=$CI_SERVER_TLS_CA_FILE
  if have curl; then
    http=curl
  elif have wget && wget --version 2>/dev/null | grep -q 'GNU Wget'; then
    http=wget
  elif have python3; then
    http=python3
  elif have node && node -e 'process.exit(typeof fetch === "function" ? 0 : 1)' 2>/dev/null; then
    http=node
  fi
}

# request METHOD URL [BODY]: sets `code` to the answer's status, 000 if there is none. BODY is plain JSON.
request() {
  case $http in
    curl)
      code=$(printf 'header = "JOB-TOKEN: %s"\n' "$CI_JOB_TOKEN" | curl --config - --silent --show-error \
        --output /dev/null --write-out '%{http_code}' --connect-timeout 5 --max-time 15 ${ca:+--cacert "$ca"} \
        --request "$1" --header 'Content-Type: application/json' ${3:+--data "$3"} "$2" 2>/dev/null)
      ;;
    wget)
      write_wgetrc || { code=000 && return; }
      code=$(wget --config="$wgetrc" --quiet --server-response --tries=1 --timeout=15 --output-document=/dev/null \
        ${ca:+--ca-certificate="$ca"} --method="$1" --header='Content-Type: application/json' \
        ${3:+--body-data="$3"} "$2" 2>&1 | last_status)
      rm -f "$wgetrc"
      ;;
    python3) code=$(python3 -c "$by_python" "$1" "$2" "${3:-}" 2>/dev/null </dev/null) ;;
    node) code=$(node -e "$by_node" "$1" "$2" "${3:-}" 2>/dev/null </dev/null) ;;
    *) code=000 ;;
  esac
  case $code in [0-9][0-9][0-9]) ;; *) code=000 ;; esac
}

# wget reads the token only from a file: if the job's disk is full, from one in memory.
write_wgetrc() {
  for folder in "$run" /dev/shm /tmp; do
    wgetrc=$folder/.wsdash-wgetrc.$$
    if { (umask 077 && rm -f "$wgetrc" && set -C && printf 'header = JOB-TOKEN: %s\n' "$CI_JOB_TOKEN" >"$wgetrc"); } \
      2>/dev/null; then
      return 0
    fi
    rm -f "$wgetrc" 2>/dev/null
  done
  return 1
}

# Prints the status of the last answer from wget's output.
last_status() {
  found=000
  while read -r protocol status _; do
    case $protocol in HTTP/*) found=$status ;; esac
  done
  printf '%s' "$found"
}

by_python='
import os, ssl, sys, urllib.error, urllib.request
method, url, body = sys.argv[1:4]
headers = {"JOB-TOKEN": os.environ["CI_JOB_TOKEN"], "Content-Type": "application/json"}
request = urllib.request.Request(url, body.encode() or None, headers, method=method)
ca = os.environ.get("CI_SERVER_TLS_CA_FILE") or None
context = ssl.create_default_context(cafile=ca if ca and os.path.isfile(ca) else None)
try:
    print(urllib.request.urlopen(request, timeout=15, context=context).status)
except urllib.error.HTTPError as error:
    print(error.code)
'

# shellcheck disable=SC2016  # expanded by nothing
by_node='
const [method, url, body] = process.argv.slice(1);
const headers = { "JOB-TOKEN": process.env.CI_JOB_TOKEN, "Content-Type": "application/json" };
fetch(url, { method, headers, body: body || undefined, signal: AbortSignal.timeout(15000) })
  .then((answer) => console.log(answer.status));
'

# upload URL FILE, download URL FILE: same as request, for files of any size.
upload() {
  transfer PUT "$1" "$2" ''
}

download() {
  transfer GET "$1" '' "$2"
}

# transfer METHOD URL FROM TO: one of FROM and TO is a file, the other is empty.
transfer() {
  case $http in
    curl)
      code=$(printf 'header = "JOB-TOKEN: %s"\n' "$CI_JOB_TOKEN" | curl --config - --silent --location \
        --output "${4:-/dev/null}" --write-out '%{http_code}' --connect-timeout 5 --max-time 600 ${ca:+--cacert "$ca"} \
        ${3:+--upload-file "$3"} "$2" 2>/dev/null)
      ;;
    wget)
      write_wgetrc || { code=000 && return; }
      code=$(wget --config="$wgetrc" --quiet --server-response --tries=1 --timeout=60 \
        --output-document="${4:-/dev/null}" ${ca:+--ca-certificate="$ca"} --method="$1" ${3:+--body-file="$3"} "$2" \
        2>&1 | last_status)
      rm -f "$wgetrc"
      ;;
    python3) code=$(python3 -c "$transfer_by_python" "$1" "$2" "$3" "$4" 2>/dev/null </dev/null) ;;
    node) code=$(node -e "$transfer_by_node" "$1" "$2" "$3" "$4" 2>/dev/null </dev/null) ;;
    *) code=000 ;;
  esac
  case $code in [0-9][0-9][0-9]) ;; *) code=000 ;; esac
}

transfer_by_python='
import os, shutil, ssl, sys, urllib.error, urllib.request
method, url, source, target = sys.argv[1:5]
headers = {"JOB-TOKEN": os.environ["CI_JOB_TOKEN"]}
if source:
    headers["Content-Length"] = str(os.path.getsize(source))
request = urllib.request.Request(url, open(source, "rb") if source else None, headers, method=method)
ca = os.environ.get("CI_SERVER_TLS_CA_FILE") or None
context = ssl.create_default_context(cafile=ca if ca and os.path.isfile(ca) else None)
try:
    with urllib.request.urlopen(request, timeout=60, context=context) as answer:
        if target:
            with open(target, "wb") as file:
                shutil.copyfileobj(answer, file)
        print(answer.status)
except urllib.error.HTTPError as error:
    print(error.code)
'

# shellcheck disable=SC2016  # expanded by nothing
transfer_by_node='
const fs = require("fs");
const [method, url, source, target] = process.argv.slice(1);
const headers = { "JOB-TOKEN": process.env.CI_JOB_TOKEN };
const body = source ? fs.readFileSync(source) : undefined;
fetch(url, { method, headers, body, signal: AbortSignal.timeout(600000) }).then(async (answer) => {
  if (target) fs.writeFileSync(target, Buffer.from(await answer.arrayBuffer()));
  console.log(answer.status);
});
'
