// The keys at a hub: published in batches, and read with `tidings-state.js`.

const TOPIC = "keys";

export function hub(url) {
  const script = `
    const { state } = await import("/tidings-state.js");
    const values = state("", { topics: "${TOPIC}" });
    await values.ready;
    for (const [key, value] of values) show(key, value);
    values.addEventListener("change", ({ detail: { key, value } }) => show(key, value));
    isReady();
  `;
  const headers = { "content-type": "application/x-ndjson" };
  return {
    url,
    script,
    async publish(entries) {
      const body = entries.map(([key, data]) => `${JSON.stringify({ key, data })}\n`).join("");
      const answer = await fetch(`${url}/events/${TOPIC}`, { method: "POST", headers, body });
      if (!answer.ok) throw new Error(`publishing: ${answer.status} ${await answer.text()}`);
      await answer.arrayBuffer();
    },
    async close() {},
  };
}
