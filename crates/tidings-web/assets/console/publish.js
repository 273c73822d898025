// The form that publishes, and the six lines to copy.

import { hub } from "./hub.js";

export function publishing(element) {
  const answer = element("publish-answer");
  element("publish").addEventListener("submit", async (event) => {
    event.preventDefault();
    const type = element("publish-type").value.trim();
    const path =
      hub.topic(element("publish-topic").value.trim()) +
      (type && `?${new URLSearchParams({ event: type })}`);
    try {
      const { id } = await hub.ask(path, { method: "POST", body: element("publish-data").value });
      delete answer.dataset.bad;
      answer.textContent = `stored as ${id}`;
    } catch (error) {
      answer.dataset.bad = "";
      answer.textContent = error.message;
    }
  });

  const topic = element("publish-topic");
  const show = () => {
    const path = hub.topic(topic.value.trim() || "hello");
    element("snippet").textContent = snippet(location.origin + path);
    element("curl").textContent = `curl -d world ${location.origin}${path}`;
  };
  topic.addEventListener("input", show);
  show();

  const copy = element("copy");
  copy.addEventListener("click", async () => {
    const text = element("snippet").textContent;
    try {
      await navigator.clipboard.writeText(text);
      copy.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(element("snippet"));
      copy.textContent = "Selected";
    }
    setTimeout(() => (copy.textContent = "Copy"), 2000);
  });
}

function snippet(address) {
  return `<pre id="list"></pre>
<script>
  const source = new EventSource("${address}");
  source.onmessage = (event) => list.append(event.data, "\\n");
  source.onerror = () => list.append("(reconnecting)\\n");
</script>`;
}
