// Events as the exchange sends them to pages.

/**
 * An event of the hub, from an envelope (`?envelope=json`) or a page of history, which have the
 * same fields. `cursor` is the id to resume after: the hub's own, because a publisher's id can
 * stand on several topics. `position` is its number, greater for later events.
 */
export function messageOf({ id, position, topic, alternates, event, data, time }, origin) {
  const cursor = position ?? id;
  return {
    is: "event",
    type: event,
    data,
    topic,
    alternates,
    time,
    lastEventId: id,
    cursor,
    position: positionIn(cursor),
    origin,
  };
}

/** The number in an id that the hub made. */
export function positionIn(id) {
  return Number(/:([0-9]+)$/.exec(id)?.[1]);
}

/** The envelope in a block of an event stream; `undefined` for a hub that ignores `envelope`. */
export function envelopeIn(data) {
  const inner = parsed(data);
  const fields = [inner?.id, inner?.topic, inner?.event, inner?.data];
  return fields.every((field) => typeof field === "string") ? inner : undefined;
}

export function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
