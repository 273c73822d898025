// What the packages hold that are published: every file, and what a registry shows of them.

import { execFile } from "node:child_process";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { equal, ok, temporaryFolder, test } from "../browser/harness.js";
import { python } from "./llm.js";

const ROOT = new URL("../..", import.meta.url).pathname;
const LICENCES = ["LICENSE-APACHE", "LICENSE-MIT"];
const VERSION = readFileSync(join(ROOT, "Cargo.toml"), "utf8").match(/^version = "(.+)"$/m)[1];

async function run(program, words, cwd) {
  const { stdout } = await promisify(execFile)(program, words, { cwd, timeout: 50_000 });
  return stdout;
}

/** What `npm publish` would send, and the description of the package. */
async function packed(folder) {
  const cwd = join(ROOT, folder);
  const said = JSON.parse(await run("npm", ["pack", "--dry-run", "--json"], cwd));
  const [pack] = Object.values(said);
  const files = pack.files.map(({ path }) => path).sort();
  return { files, about: JSON.parse(readFileSync(join(cwd, "package.json"), "utf8")), cwd };
}

/** Every file that a package's entry names is in it. */
function checkAbout({ files, about, cwd }, name) {
  equal([about.name, about.version], [name, VERSION]);
  equal(about.license, "MIT OR Apache-2.0");
  for (const key of ["description", "homepage", "bugs", "repository", "keywords", "engines"]) {
    ok(about[key], `${name}: no ${key}`);
  }
  ok(existsSync(join(ROOT, about.repository.directory, "package.json")), "the repository's folder");
  const entries = Object.values(about.exports).flatMap((entry) => Object.values(entry));
  for (const entry of [...entries, about.types]) {
    ok(files.includes(entry.replace("./", "")), `${name}: ${entry} is not in the package`);
  }
  const readme = readFileSync(join(cwd, "README.md"), "utf8");
  ok(!/\]\((?!https?:|#)/.test(readme), "a link of the README leads nowhere in a registry");
}

test("npm: @tidings-hub/tidings holds its modules, types, README and licences", async () => {
  const pack = await packed("crates/tidings-web/assets/npm");
  const modules = readdirSync(join(pack.cwd, "tidings")).map((name) => `tidings/${name}`);
  ok(modules.length > 5 && modules.every((name) => /^\w+\/\w+\.js$/.test(name)), `${modules}`);
  const scripts = ["tidings", "tidings-state"].flatMap((name) => [`${name}.d.ts`, `${name}.js`]);
  const root = ["README.md", "package.json", ...scripts];
  equal(pack.files, [...LICENCES, ...root, ...modules].sort());
  checkAbout(pack, "@tidings-hub/tidings");
  equal(pack.about.dependencies, undefined, "dependencies");
});

test("npm: @tidings-hub/react holds its hooks, types, README and licences", async () => {
  const pack = await packed("clients/react");
  equal(pack.files, [...LICENCES, "README.md", "index.d.ts", "index.js", "package.json"].sort());
  checkAbout(pack, "@tidings-hub/react");
  equal(pack.about.dependencies, { "@tidings-hub/tidings": VERSION });
});

test("PyPI: the wheel holds its modules, py.typed and licences, and no tests", async () => {
  const [source, place] = [join(ROOT, "clients/python"), temporaryFolder()];
  const pip = ["-m", "pip", "--disable-pip-version-check", "-q", "wheel", "--no-deps"];
  await run(python(), [...pip, "-w", place, source], place);
  const script = `
import json, sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as wheel:
    names = wheel.namelist()
    about = next(name for name in names if name.endswith(".dist-info/METADATA"))
    print(json.dumps([names, wheel.read(about).decode()]))
`;
  const [wheel] = readdirSync(place);
  equal(wheel, `tidings-${VERSION}-py3-none-any.whl`);
  const [names, about] = JSON.parse(await run(python(), ["-c", script, join(place, wheel)], place));
  const isOurs = (name) => /\.(py|typed)$/.test(name);
  const modules = readdirSync(join(source, "src/tidings")).filter(isOurs);
  ok(modules.includes("py.typed") && modules.includes("__init__.py"), `${modules}`);
  const info = `tidings-${VERSION}.dist-info`;
  const expected = [
    ...modules.map((name) => `tidings/${name}`),
    ...["METADATA", "RECORD", "WHEEL"].map((name) => `${info}/${name}`),
    ...LICENCES.map((name) => `${info}/licenses/${name}`),
  ];
  equal(names.sort(), expected.sort());
  const [head, readme] = [about.split("\n\n")[0], about.slice(about.indexOf("\n\n") + 2)];
  for (const line of [
    "Name: tidings",
    `Version: ${VERSION}`,
    "License-Expression: MIT OR Apache-2.0",
    "Requires-Python: >=3.10",
    "Requires-Dist: httpx<1,>=0.27",
    "Classifier: Typing :: Typed",
    "Description-Content-Type: text/markdown",
  ]) {
    ok(head.split("\n").includes(line), `no “${line}” in\n${head}`);
  }
  equal(readme, readFileSync(join(source, "README.md"), "utf8"), "what the registry shows");
});
