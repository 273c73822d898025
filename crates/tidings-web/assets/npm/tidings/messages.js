// Events as the exchange sends them to pages.

/**
 * An event of the hub, from an envelope (`?envelope=json`) or a page of history, which have the
 * same fields. `cursor` is the id to resume after: the hub's own, because a publisher's id can
 * stand on several topics. `number` is that in it, greater for later events.
 */
export function messageOf(envelope) {
  const cursor = envelope.position ?? envelope.id;
  return { ...envelope, cursor, number: numberIn(cursor) };
}

/** The number in an id that the hub made. */
export function numberIn(id) {
  return Number(/:([0-9]+)$/.exec(id)?.[1]);
}

/** Whether this is an envelope: a hub may ignore `envelope`. */
export function isEnvelope(inner) {
  return ["id", "topic", "event", "data"].every((name) => typeof inner?.[name] === "string");
}

/** The value of a JSON text; `undefined` if it is none. */
export function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
