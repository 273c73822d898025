"""compressed.py LIBRARY URL: reads a stream to its end; prints its coding, then each event's data."""

import sys

library, url = sys.argv[1:]
HEADERS = {"Accept": "text/event-stream"}
PATIENCE = 30


def show(lines, coding):
    print(f"coding: {coding}", flush=True)
    for line in lines:
        if line.startswith("data: "):
            print(line, flush=True)


if library == "requests":
    import requests

    with requests.get(url, headers=HEADERS, stream=True, timeout=PATIENCE) as response:
        lines = response.iter_lines(decode_unicode=True)
        response.encoding = "utf-8"
        show(lines, response.headers.get("content-encoding"))
elif library == "httpx":
    import httpx

    with httpx.stream("GET", url, headers=HEADERS, timeout=PATIENCE) as response:
        show(response.iter_lines(), response.headers.get("content-encoding"))
elif library == "aiohttp":
    import asyncio

    import aiohttp

    async def read():
        timeout = aiohttp.ClientTimeout(sock_read=PATIENCE)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            async with session.get(url, headers=HEADERS) as response:
                print(f"coding: {response.headers.get('content-encoding')}", flush=True)
                async for line in response.content:
                    if line.startswith(b"data: "):
                        print(line.decode().rstrip("\n"), flush=True)

    asyncio.run(read())
else:
    raise SystemExit(f"no such library: {library}")
