"""producer.py CLIENT ADDRESS: streams into the run, and prints the status of its answer."""

import asyncio
import sys
import time

LINE = b'{"data":"token"}\n'
HEADERS = {"Content-Type": "application/x-ndjson"}


def lines():
    while True:
        yield LINE
        time.sleep(0.02)


def with_requests(address):
    import requests

    return requests.post(address, data=lines(), headers=HEADERS).status_code


def with_httpx(address):
    import httpx

    return httpx.post(address, content=lines(), headers=HEADERS, timeout=None).status_code


def with_aiohttp(address):
    import aiohttp

    async def slowly():
        while True:
            yield LINE
            await asyncio.sleep(0.02)

    async def post():
        async with aiohttp.ClientSession() as session:
            async with session.post(address, data=slowly(), headers=HEADERS) as answer:
                return answer.status

    return asyncio.run(post())


name, where = sys.argv[1:]
clients = {"requests": with_requests, "httpx": with_httpx, "aiohttp": with_aiohttp}
print(clients[name](where), flush=True)
