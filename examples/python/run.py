"""One run, from FastAPI, LangGraph or a script: pip install httpx; python3 run.py ID"""

import asyncio
import json
import sys

import httpx

HUB = "http://127.0.0.1:3000"
NDJSON = {"Content-Type": "application/x-ndjson", "If-None-Match": "*"}


async def words():
    """In your program: `graph.astream(...)`, or the chunks of a model."""
    for word in ["Streams", "that", "end"]:
        yield word
        await asyncio.sleep(0.02)


async def lines(pieces):
    async for piece in pieces:
        yield json.dumps({"data": piece}).encode() + b"\n"


async def run(name, pieces):
    """Streams into the run, and ends it. 409: somebody has stopped it. 412: there is one."""
    parameters = {"end": "", "will": "lost", "lost": "5s"}
    async with httpx.AsyncClient(timeout=None) as client:
        address = f"{HUB}/events/runs/{name}"
        body = lines(pieces)
        return await client.post(address, params=parameters, content=body, headers=NDJSON)


if __name__ == "__main__":
    answer = asyncio.run(run(sys.argv[1] if len(sys.argv) > 1 else "7", words()))
    print(answer.status_code, answer.text)
