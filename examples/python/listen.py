"""Listens, and continues where it was after a broken connection.

pip install httpx-sse; python3 listen.py
"""

import time

import httpx
from httpx_sse import connect_sse

URL = "http://127.0.0.1:3000/events/hello"
SILENCE = 45  # seconds: three heartbeats of the hub

last_id, wait = "", 2.0
while True:
    headers = {"Last-Event-ID": last_id} if last_id else {}
    try:
        with (
            httpx.Client(timeout=httpx.Timeout(10, read=SILENCE)) as client,
            connect_sse(client, "GET", URL, headers=headers) as source,
        ):
            source.response.raise_for_status()
            if source.response.status_code == 204:  # the topic has ended
                break
            for event in source.iter_sse():
                if event.retry is not None:
                    wait = event.retry / 1000
                if event.data:  # without: a heartbeat, which only moves the id
                    print(event.id, event.event, event.data, flush=True)
                last_id = event.id
                if event.event == "end":  # its `retry` keeps away those that would come back
                    raise SystemExit
    except httpx.TransportError as error:
        print(f"(again in {wait:.0f} s: {error})", flush=True)
    time.sleep(wait)
