#!/bin/sh
# What an operator's script does, over REST with nothing but curl and jq: signs in, lists the hosts, opens a console
# session, reads the device's page through it, closes it, and reads what the audit log says of it. The session's name
# need not lead anywhere: the request goes to 127.0.0.1, and says by its Host field what it is for.
#
# usage: client.sh API_URL CA_FILE CONSOLE_HOST:PORT USER HOST
# The password is in FLEETWIRE_PASSWORD. What was seen is printed as one JSON object.
set -eu
api=$1 ca=$2 console=$3 user=$4 host=$5
umask 077
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# Secrets go by files and pipes: a process list shows arguments to everybody.
call() {
  curl --silent --show-error --fail-with-body --max-time 30 --cacert "$ca" --config "$dir/token" \
    --header 'content-type: application/json' "$@"
}
: >"$dir/token"

jq --null-input --arg user "$user" '{user: $user, password: env.FLEETWIRE_PASSWORD}' |
  call --data @- "$api/api/auth/sign-in" >"$dir/signed-in"
jq --raw-output '"header = \"authorization: Bearer \(.access_token)\""' "$dir/signed-in" >"$dir/token"

call "$api/api/hosts" >"$dir/hosts"

jq --null-input --arg host "$host" '{host: $host}' | call --data @- "$api/api/sessions" >"$dir/opened"
session=$(jq --raw-output .session_id "$dir/opened")
# The page to enter by, and the ticket behind it.
url=$(jq --raw-output .console_url "$dir/opened")
name=$(echo "$url" | cut -d/ -f3)
entry=/$(echo "${url%%#*}" | cut -d/ -f4-)

page() {
  path=$1
  shift
  curl --silent --show-error --max-time 30 --cookie "$dir/cookies" --cookie-jar "$dir/cookies" \
    --header "host: $name" "$@" "http://$console$path"
}
page "$entry" --output /dev/null
# Netscape's format of cookies: the name is the sixth column, the value the seventh.
state=$(awk '$6 == "fleetwire-state" { print $7 }' "$dir/cookies")
jq --null-input --arg url "$url" --arg state "$state" '{ticket: ($url | split("#")[1]), state: $state}' |
  page "$entry" --header "origin: http://$name" --header 'content-type: application/json' --fail --data @-
status=$(page / --output "$dir/page" --write-out '%{http_code}')

call --request DELETE "$api/api/sessions/$session"
status_after=$(page / --output /dev/null --write-out '%{http_code}')

call "$api/api/audit?session_id=$session" >"$dir/audit"

jq --null-input --slurpfile hosts "$dir/hosts" --slurpfile audit "$dir/audit" --rawfile page "$dir/page" \
  --arg session "$session" --argjson status "$status" --argjson status_after "$status_after" '{
    hosts: ($hosts[0].hosts | map({key: .name, value: (.status == "online")}) | from_entries),
    $session, $status, $status_after, $page,
    # The newest are first.
    audit: ($audit[0].entries | reverse | map([.actor, .action]))
  }'
