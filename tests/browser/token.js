// Tokens as an application's backend makes them.

import { createHmac } from "node:crypto";

let serial = 0;

/** A token that grants `access`, for this long; each is another. */
export function mint(secret, access, seconds = 60) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const exp = Math.floor(Date.now() / 1000) + seconds;
  const claims = { mercure: access, exp, jti: `${(serial += 1)}` };
  const text = `${part({ alg: "HS256", typ: "JWT" })}.${part(claims)}`;
  return `${text}.${createHmac("sha256", secret).update(text).digest("base64url")}`;
}
