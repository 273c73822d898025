"""Signs every vector with the lines of the guide (docs/guides/access.md) and compares."""

import base64
import hashlib
import hmac
import json
import pathlib

vectors = json.loads(pathlib.Path(__file__).with_name("vectors.json").read_text("utf-8"))
id, key = vectors["id"], vectors["key"]
for link in vectors["links"]:
    until, sub, topics = link["until"], link["sub"], link["topics"]
    text = "\n".join(["tidings-link-v1", str(until), sub, *topics])
    mac = hmac.new(key.encode(), text.encode(), hashlib.sha256).digest()
    sig = id + "." + base64.urlsafe_b64encode(mac).rstrip(b"=").decode()
    assert sig == link["sig"], (topics, sig)
print(f"python: {len(vectors['links'])} links")
