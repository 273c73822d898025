#!/bin/sh
# Ways to publish. An acknowledged event is on disk.
set -eu
hub=http://127.0.0.1:3000

# A text. The answer is the event's id.
curl -sS --fail-with-body -d world "$hub/events/hello"

# JSON, with a type: pages receive it with addEventListener("alarm", …).
curl -sS --fail-with-body --json '{"room":7}' "$hub/events/hello?event=alarm"

# With an id of your own it may be sent again until it is acknowledged, and is still one event.
curl -sS --fail-with-body --retry 5 --retry-all-errors -d paid "$hub/events/hello?id=order-7-paid"

# Many events, from a program that prints one JSON object per line.
printf '{"data":"line %s"}\n' 1 2 3 |
  curl -sS --fail-with-body -X POST -T - -H 'Content-Type: application/x-ndjson' "$hub/events/hello"
