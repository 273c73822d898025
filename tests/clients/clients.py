"""clients.py HUB SECRET TOKEN: publishes, listens, and prints what came as JSON."""

import json
import sys

import httpx
from httpx_sse import connect_sse
from mercure_publisher import MercureConfig, MercurePublishError, MercurePublisher

hub, secret, token = sys.argv[1:]
topics = ["https://x/books/1", "https://x/users/k"]


def publisher(key):
    return MercurePublisher(
        MercureConfig(hub_url=hub, publisher_jwt_key=key, publish_topics=["https://x/{+path}"])
    )


def published():
    with publisher(secret) as one:
        first = one.publish(topics, {"n": 1}, private=True)
        own = one.publish(topics[0], "two\nlines", id="urn:mine", type="greeting", retry=4711)
    try:
        with publisher("another key, of thirty-two bytes or more") as stranger:
            stranger.publish(topics[0], "x")
        refused = None
    except MercurePublishError as error:
        refused = error.status_code
    return first, own, refused


with httpx.Client(timeout=20) as client:
    headers = {"Authorization": f"Bearer {token}"}
    parameters = [("topic", "https://x/users/{id}"), ("topic", topics[0])]
    with connect_sse(client, "GET", hub, params=parameters, headers=headers) as source:
        source.response.raise_for_status()
        first, own, refused = published()
        events = []
        for event in source.iter_sse():
            one = {"id": event.id, "event": event.event, "data": event.data, "retry": event.retry}
            events.append(one)
            if len(events) == 2:
                break
print(json.dumps({"id": first, "own": own, "events": events, "refused": refused}))
