"""llm.py CLIENT ADDRESS: reads a run with the client, and prints each event as a line of JSON."""

import asyncio
import json
import sys


def show(event):
    print(json.dumps(event), flush=True)


def read_openai(address):
    from openai import OpenAI, Stream
    from openai.types.chat import ChatCompletionChunk

    hub, _, path = address.partition("/events/")
    client = OpenAI(base_url=hub, api_key="none", max_retries=0)
    stream = client.get(
        f"/events/{path}",
        # The package asks for JSON by default, which the hub answers with a page.
        options={"headers": {"Accept": "text/event-stream"}},
        cast_to=ChatCompletionChunk,
        stream=True,
        stream_cls=Stream[ChatCompletionChunk],
    )
    for chunk in stream:
        show(chunk.choices[0].delta.content)


def read_httpx_sse(address):
    import httpx
    from httpx_sse import connect_sse

    with httpx.Client(timeout=20) as client, connect_sse(client, "GET", address) as source:
        for event in source.iter_sse():
            show(event.json())


async def read_langgraph(address):
    from langgraph_sdk import get_client

    client = get_client(url=address)
    async for part in client.runs.join_stream("t1", "r1"):
        show([part.event, part.data])


name, where = sys.argv[1:]
if name == "langgraph-sdk":
    asyncio.run(read_langgraph(where))
else:
    {"openai": read_openai, "httpx-sse": read_httpx_sse}[name](where)
