"""Publishes from a script, with nothing to install: python3 publish.py"""

import json
import os
from urllib.parse import quote
from urllib.request import Request, urlopen

HUB = "http://127.0.0.1:3000"


def publish(topic, data):
    """The event's id, once it is on disk. If it is rejected, the HTTPError's body says why."""
    headers = {"Content-Type": "application/json"}
    if token := os.environ.get("TIDINGS_TOKEN"):  # for a hub with keys
        headers["Authorization"] = f"Bearer {token}"
    request = Request(f"{HUB}/events/{quote(topic)}", json.dumps(data).encode(), headers)
    with urlopen(request, timeout=10) as answer:
        return json.load(answer)["id"]


if __name__ == "__main__":
    print(publish("hello", {"name": "world"}))
