// One run with plain fetch: begins it, streams into it, and ends with it: node run.mjs ID

const HUB = "http://127.0.0.1:3000";
const id = process.argv[2] ?? "7";

async function* words() {
  for (const word of ["Streams", "that", "end"]) {
    yield `${JSON.stringify({ data: word })}\n`;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const answer = await fetch(`${HUB}/events/runs/${id}?end&will=lost&lost=5s`, {
  method: "POST",
  duplex: "half",
  body: ReadableStream.from(words()).pipeThrough(new TextEncoderStream()),
  headers: { "content-type": "application/x-ndjson", "if-none-match": "*" },
});
// 409: somebody has stopped it. 412: there is such a run already.
console.log(answer.status, await answer.text());
