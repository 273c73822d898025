// When a token expires.

/** The `exp` of a JSON Web Token, in milliseconds since 1970; NaN if the token has none. */
export function expiryOf(token) {
  try {
    const claims = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
    return Number(JSON.parse(atob(claims)).exp) * 1000;
  } catch {
    return NaN;
  }
}
