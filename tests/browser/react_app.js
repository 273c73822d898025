// An application of @tidings-hub/react and React 19, in a page and on a server.

import { build } from "esbuild";
import { openPage } from "./browser.js";
import { temporaryFile } from "./harness.js";

const PACKAGE = new URL("../../clients/react/index.js", import.meta.url).pathname;
const MODULES = new URL("node_modules/", import.meta.url).pathname;
const SCRIPTS = new URL("../../crates/tidings-web/assets/npm/", import.meta.url).pathname;

/** What the server's half of React needs in a module. */
const REQUIRE = `import { createRequire } from "node:module";
const require = createRequire(import.meta.url);`;

/** A bundle of the component, which finds the hooks and React. */
async function bundle(source) {
  const { outputFiles } = await build({
    entryPoints: [temporaryFile("app.jsx", source)],
    bundle: true,
    format: "esm",
    write: false,
    jsx: "automatic",
    logLevel: "silent",
    nodePaths: [MODULES],
    define: { "process.env.NODE_ENV": '"development"' },
    alias: { "@tidings-hub/react": PACKAGE },
    // Every hub serves it; its workers are then those of any other page.
    external: ["/tidings.js", "/tidings-state.js"],
    plugins: [
      {
        name: "tidings",
        setup: ({ onResolve }) =>
          onResolve({ filter: /^@tidings-hub\/tidings/ }, ({ path }) => ({
            path: path.endsWith("/state") ? "/tidings-state.js" : "/tidings.js",
            external: true,
          })),
      },
    ],
  });
  return outputFiles[0].text;
}

/** A page of the hub's origin that renders the application into what a server has rendered. */
export async function openApp(hub, source, body = `<div id="root"></div>`) {
  const script = await bundle(source);
  const page = await openPage();
  const html = `<!doctype html>${body}<script type="module" src="/app.js"></script>`;
  await page.route("**/app", (route) => route.fulfill({ body: html, contentType: "text/html" }));
  await page.route("**/app.js", (route) =>
    route.fulfill({ body: script, contentType: "text/javascript" }),
  );
  await page.goto(`${hub.url}/app`);
  return page;
}

/** Builds a module for Node, and imports it. */
export async function renderOnServer(source) {
  const { outputFiles } = await build({
    stdin: { contents: source, loader: "jsx", resolveDir: MODULES },
    bundle: true,
    format: "esm",
    platform: "node",
    write: false,
    jsx: "automatic",
    logLevel: "silent",
    nodePaths: [MODULES],
    banner: { js: REQUIRE },
    alias: {
      "@tidings-hub/react": PACKAGE,
      "@tidings-hub/tidings/state": `${SCRIPTS}tidings-state.js`,
      "@tidings-hub/tidings": `${SCRIPTS}tidings.js`,
    },
  });
  return import(temporaryFile("server.mjs", outputFiles[0].text));
}
