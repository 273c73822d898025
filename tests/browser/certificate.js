// A certificate for hubs over TLS.

import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { Skipped, temporaryFolder } from "./harness.js";

/** A key and a self-signed certificate for 127.0.0.1. */
export function selfSigned() {
  const folder = temporaryFolder();
  const [key, certificate] = [join(folder, "key.pem"), join(folder, "cert.pem")];
  const words =
    "req -x509 -nodes -days 2 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -subj /CN=localhost" +
    ` -addext subjectAltName=IP:127.0.0.1 -keyout ${key} -out ${certificate}`;
  try {
    execFileSync("openssl", words.split(" "), { stdio: "pipe" });
  } catch (error) {
    if (error.code === "ENOENT") throw new Skipped("openssl is not here");
    throw error;
  }
  return { key, certificate };
}
