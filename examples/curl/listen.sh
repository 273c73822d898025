#!/bin/sh
# Prints what is published to a topic. When the connection breaks it goes on after the last event,
# and so it does when it is started again. `tidings subscribe --since-file` does this and more.
set -eu
url=http://127.0.0.1:3000/events/hello
last=hello.id

while :; do
  curl -sSN --fail -H "Last-Event-ID:$(cat "$last" 2>/dev/null)" "$url" |
    while IFS= read -r line; do
      case $line in
        id:*) id=${line#id: } ;;
        data:*) printf '%s\n' "${line#data: }" ;;
        '') [ -z "${id:-}" ] || echo "$id" >"$last" ;;
      esac
    done
  sleep 2
done
