#!/bin/sh
# Prints the events of a topic. After a broken connection, or a restart, it continues after the last
# event. `tidings subscribe --since-file` does this and more.
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
