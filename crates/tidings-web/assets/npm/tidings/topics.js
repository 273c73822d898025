// Topics and patterns, as the hub understands them.

/**
 * Whether an event is for a connection with these patterns; without any it is for all topics. An
 * event whose topic is unknown is for everyone.
 */
export function wants(patterns, { topic, alternates = [] }) {
  if (topic === undefined || patterns.length === 0) return true;
  return [topic, ...alternates].some((name) => patterns.some((one) => matches(one, name)));
}

/** `*` is one segment, a last `**` one or more. */
function matches(pattern, topic) {
  const [parts, names] = [pattern.split("/"), topic.split("/")];
  const isAsLong = names.length === parts.length;
  const isLonger = names.length > parts.length && parts.at(-1) === "**";
  const fits = (part, at) => part === names[at] || part === "*" || part === "**";
  return (isAsLong || isLonger) && parts.every(fits);
}

/** A text that is the same for the same topics. */
export function setOf(topics) {
  return JSON.stringify([...new Set(topics)].sort());
}

/** The topics of all these lists, of which an empty one means all topics. */
export function union(lists) {
  return lists.some((topics) => topics.length === 0) ? [] : [...new Set(lists.flat())];
}
