"""langgraph_run.py HUB TOPIC QUIET: runs a graph with a fake model, and streams it into the hub.

The graph thinks for QUIET seconds between its two nodes. Prints what the model has said.
"""

import asyncio
import json
import sys

import httpx
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.graph import END, START, MessagesState, StateGraph

hub, topic, quiet = sys.argv[1:]
SAID = ["Let me think. ", "Streams that end survive a reload."]
model = GenericFakeChatModel(messages=iter([AIMessage(text) for text in SAID]))


async def plan(state: MessagesState):
    return {"messages": [await model.ainvoke(state["messages"])]}


async def answer(state: MessagesState):
    await asyncio.sleep(float(quiet))
    return {"messages": [await model.ainvoke(state["messages"])]}


def build():
    graph = StateGraph(MessagesState)
    graph.add_node(plan)
    graph.add_node(answer)
    graph.add_edge(START, "plan")
    graph.add_edge("plan", "answer")
    graph.add_edge("answer", END)
    return graph.compile()


async def lines():
    """The parts of the stream as LangGraph's own server names them, and its word for the end."""
    ask = {"messages": [HumanMessage("Why?")]}
    async for mode, part in build().astream(ask, stream_mode=["values", "messages"]):
        data = json.dumps(part, default=lambda value: value.model_dump())
        yield json.dumps({"event": mode, "data": data}).encode() + b"\n"
    yield b'{"event":"end","data":"null"}\n'


async def main():
    headers = {"Content-Type": "application/x-ndjson", "If-None-Match": "*"}
    async with httpx.AsyncClient(base_url=hub, timeout=60) as client:
        answer = await client.post(f"/events/{topic}?end", content=lines(), headers=headers)
        answer.raise_for_status()
    print(json.dumps(SAID))


asyncio.run(main())
