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
      code=$(wget --config="$wgetrc" --quiet --server-response --tries=1 --timeout=15 --max-redirect=0 --output-document=/dev/null \
        ${ca:+--ca-certificate="$ca"} --method="$1" --header='Content-Type: application/json' \
        ${3:+--body-data="$3"} "$2" 2>&1 | last_answer)
      code=${code%% *}
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

# Prints the status of the last answer, and where it leads to, from wget's output.
last_answer() {
  found=000
  leads_to=
  while read -r word value _; do
    case $word in
      HTTP/*) found=$value leads_to= ;;
      [Ll]ocation:) leads_to=$value ;;
    esac
  done
  printf '%s %s' "$found" "$leads_to"
}

# Python and node follow no redirect with the token.
without_redirects='
class Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None
def opened(request, timeout):
    ca = os.environ.get("CI_SERVER_TLS_CA_FILE") or None
    context = ssl.create_default_context(cafile=ca if ca and os.path.isfile(ca) else None)
    return urllib.request.build_opener(Stay, urllib.request.HTTPSHandler(context=context)).open(request, timeout=timeout)
'

by_python='
import os, ssl, sys, urllib.error, urllib.request'"$without_redirects"'
method, url, body = sys.argv[1:4]
headers = {"JOB-TOKEN": os.environ["CI_JOB_TOKEN"], "Content-Type": "application/json"}
request = urllib.request.Request(url, body.encode() or None, headers, method=method)
try:
    print(opened(request, 15).status)
except urllib.error.HTTPError as error:
    print(error.code)
'

# shellcheck disable=SC2016  # expanded by nothing
by_node='
const [method, url, body] = process.argv.slice(1);
const headers = { "JOB-TOKEN": process.env.CI_JOB_TOKEN, "Content-Type": "application/json" };
fetch(url, { method, headers, body: body || undefined, redirect: "manual", signal: AbortSignal.timeout(15000) })
  .then((answer) => console.log(answer.status));
'

# upload URL FILE, download URL FILE: same as request, for files of any size.
upload() {
  transfer PUT "$1" "$2" ''
}

download() {
  transfer GET "$1" '' "$2"
}

# origin_of URL: prints its scheme, host and port.
origin_of() {
  origin=${1#*://}
  printf '%s://%s' "${1%%://*}" "${origin%%/*}"
}

# transfer METHOD URL FROM TO: one of FROM and TO is a file, the other is empty. GitLab redirects downloads to its object storage,
# which must not get the token, and for which GitLab's authority does not count unless it has no other.
transfer() {
  url=$2
  home=$(origin_of "$url")
  token=yes
  own_ca=$ca
  steps=0
  while :; do
    code=000 location=
    transfer_once "$1" "$url" "$3" "$4"
    case $code in [0-9][0-9][0-9]) ;; *) code=000 ;; esac
    if [ "$code" = 000 ] && [ -z "$token" ] && [ "$own_ca" != "$ca" ]; then
      own_ca=$ca
      continue
    fi
    case $1$code in GET30[12378]) ;; *) return ;; esac
    steps=$((steps + 1))
    [ "$steps" -le 5 ] || return
    case $location in
      http://* | https://*) url=$location ;;
      /*) url=$(origin_of "$url")$location ;;
      *) return ;;
    esac
    [ "$(origin_of "$url")" = "$home" ] || token='' own_ca=''
  done
}

curl_header() {
  [ -z "$token" ] || printf 'header = "JOB-TOKEN: %s"\n' "$CI_JOB_TOKEN"
}

# Sends one request. Sets `code` and `location`.
transfer_once() {
  answer=
  case $http in
    curl)
      answer=$(curl_header | curl --config - --silent \
        --output "${4:-/dev/null}" --write-out '%{http_code} %{redirect_url}' --connect-timeout 5 --max-time 600 \
        ${own_ca:+--cacert "$own_ca"} ${3:+--upload-file "$3"} "$2" 2>/dev/null)
      ;;
    wget)
      write_wgetrc || return
      [ -n "$token" ] || : >"$wgetrc"
      answer=$(wget --config="$wgetrc" --quiet --server-response --tries=1 --timeout=60 --max-redirect=0 \
        --output-document="${4:-/dev/null}" ${own_ca:+--ca-certificate="$own_ca"} --method="$1" ${3:+--body-file="$3"} "$2" \
        2>&1 | last_answer)
      rm -f "$wgetrc"
      ;;
    python3)
      answer=$(CI_SERVER_TLS_CA_FILE=$own_ca python3 -c "$transfer_by_python" "$1" "$2" "$3" "$4" "$token" 2>/dev/null </dev/null)
      ;;
    node) answer=$(node -e "$transfer_by_node" "$1" "$2" "$3" "$4" "$token" 2>/dev/null </dev/null) ;;
  esac
  code=${answer%% *}
  location=${answer#"$code"}
  location=${location# }
}

transfer_by_python='
import os, shutil, ssl, sys, urllib.error, urllib.request'"$without_redirects"'
method, url, source, target, token = sys.argv[1:6]
headers = {"JOB-TOKEN": os.environ["CI_JOB_TOKEN"]} if token else {}
if source:
    headers["Content-Length"] = str(os.path.getsize(source))
request = urllib.request.Request(url, open(source, "rb") if source else None, headers, method=method)
try:
    with opened(request, 60) as answer:
        if target:
            with open(target, "wb") as file:
                shutil.copyfileobj(answer, file)
        print(answer.status)
except urllib.error.HTTPError as error:
    print(error.code, error.headers.get("Location", ""))
'

# shellcheck disable=SC2016  # expanded by nothing
transfer_by_node='
const fs = require("fs");
const [method, url, source, target, token] = process.argv.slice(1);
const headers = token ? { "JOB-TOKEN": process.env.CI_JOB_TOKEN } : {};
const body = source ? fs.readFileSync(source) : undefined;
fetch(url, { method, headers, body, redirect: "manual", signal: AbortSignal.timeout(600000) }).then(async (answer) => {
  if (target) fs.writeFileSync(target, Buffer.from(await answer.arrayBuffer()));
  console.log(answer.status, answer.headers.get("location") || "");
});
'
