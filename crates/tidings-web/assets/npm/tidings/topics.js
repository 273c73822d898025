// What connections want, compared: topics and patterns as the hub understands them, and tokens.

/**
 * Whether an event is for a connection with these patterns; without any it is for all topics. An
 * event whose topic is unknown is for everyone.
 */
export function wants(patterns, { topic, alternates = [] }) {
  if (topic === undefined || !patterns.length) return true;
  return [topic, ...alternates].some((name) => patterns.some((one) => matches(one, name)));
}

/** `*` is one segment, a last `**` one or more. */
function matches(pattern, topic) {
  const [parts, names] = [pattern.split("/"), topic.split("/")];
  if (parts.at(-1) === "**") names.splice(parts.length);
  const fits = (part, at) => part === names[at] || part === "*" || part === "**";
  return names.length === parts.length && parts.every(fits);
}

/** A text that is the same for the same topics. */
export function setOf(topics) {
  return JSON.stringify([...new Set(topics)].sort());
}

/** The topics of all these lists, of which an empty one means all topics. */
export function union(lists) {
  return lists.every((topics) => topics.length) ? [...new Set(lists.flat())] : [];
}

/**
 * What two tokens have in common that grant the same to the same bearer: the claims of a JSON Web
 * Token but its times and its own id. Any other token stands for itself.
 */
export function bearerOf(token) {
  try {
    const claims = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
    const { iat, nbf, exp, jti, ...bearer } = JSON.parse(atob(claims));
    return bearer;
  } catch {
    return token;
  }
}
