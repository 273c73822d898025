// The recipes of `docs/guides/recipes.md`, as they stand on the page: each is run as an application
// of its framework, and its page in Chromium. Of Laravel's only the syntax is checked, and Rails is
// not run: neither's packages can be installed where these tests run.

import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer, request as httpRequest } from "node:http";
import { dirname, join } from "node:path";
import { openPage } from "../browser/browser.js";
import { after, equal, ok, Skipped, temporaryFolder, test, until } from "../browser/harness.js";
import { freePort } from "../ports.js";
import { python } from "./llm.js";
import { SECRET, startMercure } from "./mercure.js";

const PAGE = readFileSync(new URL("../../docs/guides/recipes.md", import.meta.url), "utf8");
const LINES_MAX = 30;

/** The code in the section of a framework: its blocks in their order. */
function recipe(title) {
  const section = PAGE.split(/^## /m).find((text) => text.startsWith(`${title}\n`));
  ok(section, `the page has a section ${title}`);
  return [...section.matchAll(/^```\w+\n(.*?)^```$/gms)].map(([, code]) => code);
}

const DJANGO = `
import sys
from django.conf import settings
settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="of-the-test")
import django
django.setup()
import views
from django.core.management import execute_from_command_line
from django.urls import path
urlpatterns = [path("hub", views.read), path("orders", views.order)]
if __name__ == "__main__":
    execute_from_command_line([sys.argv[0], "runserver", "--noreload", "127.0.0.1:" + sys.argv[1]])
`;

const GO = `package main

import (
	"encoding/json"
	"net/http"
	"os"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

func user(r *http.Request) string {
	if cookie, err := r.Cookie("user"); err == nil {
		return cookie.Value
	}
	return ""
}

func login(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if user(r) == "" {
			w.WriteHeader(401)
			return
		}
		next(w, r)
	}
}

func main() {
	http.HandleFunc("GET /hub", login(read))
	http.HandleFunc("POST /orders", login(order))
	panic(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), nil))
}

`;

const POM = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <parent>
    <groupId>org.springframework.boot</groupId>
    <artifactId>spring-boot-starter-parent</artifactId>
    <version>4.0.7</version>
  </parent>
  <groupId>recipe</groupId>
  <artifactId>recipe</artifactId>
  <version>1</version>
  <dependencies>
    <dependency>
      <groupId>org.springframework.boot</groupId>
      <artifactId>spring-boot-starter-web</artifactId>
    </dependency>
    <dependency>
      <groupId>com.auth0</groupId>
      <artifactId>java-jwt</artifactId>
      <version>4.6.2</version>
    </dependency>
  </dependencies>
  <build>
    <finalName>recipe</finalName>
    <plugins>
      <plugin>
        <groupId>org.springframework.boot</groupId>
        <artifactId>spring-boot-maven-plugin</artifactId>
      </plugin>
    </plugins>
  </build>
</project>
`;

const SPRING = `package recipe;

import com.auth0.jwt.JWT;
import com.auth0.jwt.algorithms.Algorithm;
import jakarta.servlet.*;
import jakarta.servlet.http.*;
import java.io.IOException;
import java.security.Principal;
import java.time.Instant;
import java.util.*;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.http.MediaType;
import org.springframework.stereotype.Component;
import org.springframework.web.bind.annotation.*;
import org.springframework.web.client.RestClient;

@SpringBootApplication
public class App {
  public static void main(String[] words) {
    SpringApplication.run(App.class, words);
  }
}

@Component
class Login extends HttpFilter {
  @Override
  protected void doFilter(HttpServletRequest request, HttpServletResponse response,
      FilterChain chain) throws IOException, ServletException {
    Cookie[] cookies = request.getCookies();
    if (cookies == null) {
      response.setStatus(401);
      return;
    }
    chain.doFilter(new HttpServletRequestWrapper(request) {
      @Override
      public Principal getUserPrincipal() {
        return () -> cookies[0].getValue();
      }
    }, response);
  }
}

`;

/** By framework: writes the files of the recipe, and says what to run. */
const FRAMEWORKS = {
  FastAPI: ([app]) => ({
    files: { "app.py": app },
    run: (port) => [python(), "-m", "uvicorn", "app:app", "--port", port],
  }),
  Django: ([views]) => ({
    files: { "views.py": views, "app.py": DJANGO },
    run: (port) => [python(), "app.py", port],
  }),
  Express: ([app]) => ({
    files: { "app.mjs": app },
    run: () => [process.execPath, "app.mjs"],
  }),
  "Next.js": ([hub, orders, user]) => ({
    files: {
      "app/hub/route.js": hub,
      "app/orders/route.js": orders,
      "app/user.js": user,
    },
    // Its other bundler refuses packages that are linked to.
    run: (port) => ["node_modules/.bin/next", "dev", "--webpack", "--port", port],
  }),
  Go: ([code]) => ({
    files: { "main.go": GO + code, "go.mod": "module recipe\n\ngo 1.22\n" },
    prepare: [
      ["go", "get", "github.com/golang-jwt/jwt/v5@v5.3.0"],
      ["go", "build", "-o", "recipe"],
    ],
    run: () => ["./recipe"],
  }),
  Spring: ([code]) => ({
    files: { "pom.xml": POM, "src/main/java/recipe/App.java": SPRING + code },
    prepare: [["mvn", "-B", "-q", "package"]],
    run: (port) => ["java", "-jar", "target/recipe.jar", `--server.port=${port}`],
  }),
};

async function start(title, hub) {
  const { files, prepare = [], run } = FRAMEWORKS[title](recipe(title));
  const folder = temporaryFolder();
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  symlinkSync(new URL("node_modules", import.meta.url).pathname, join(folder, "node_modules"));
  for (const [program, ...words] of prepare) {
    const done = spawnSync(program, words, { cwd: folder, encoding: "utf8", timeout: 140_000 });
    if (done.error) throw new Skipped(`${program}: ${done.error.message}`);
    equal(done.status, 0, `${program} ${words}: ${done.stderr}${done.stdout}`);
  }
  const port = `${await freePort()}`;
  const own = { PORT: port, TIDINGS_URL: hub.url, TIDINGS_JWT_SECRET: SECRET };
  const env = { ...process.env, ...own, NEXT_TELEMETRY_DISABLED: "1" };
  const [program, ...words] = run(port);
  const stdio = ["ignore", "pipe", "pipe"];
  const child = spawn(program, words, { cwd: folder, env, stdio, detached: true });
  let said = "";
  for (const pipe of [child.stdout, child.stderr]) pipe.on("data", (piece) => (said += piece));
  const gone = new Promise((resolve) => child.once("exit", resolve));
  after(() => {
    const runs = child.exitCode === null && child.signalCode === null;
    if (runs) process.kill(-child.pid, "SIGKILL"); // and the programs that it has started
    return gone;
  });
  // By its name where it listens on that, which may be either protocol's loopback.
  const site = `http://localhost:${port}`;
  const answers = async () => (await fetch(`${site}/hub`)).status;
  await until(`${title} answers`, answers).catch((error) => {
    throw new Error(`${error.message}\n${said}`);
  });
  return site;
}

for (const title of Object.keys(FRAMEWORKS)) {
  const sentence = `recipe for ${title}: it publishes, and its users read their own topics`;
  const fn = async () => {
    const lines = recipe(title).join("").split("\n").length - 1;
    ok(lines <= LINES_MAX, `${lines} lines`);
    const hub = await startMercure();
    const site = await start(title, hub);
    equal((await fetch(`${site}/hub`)).status, 401, "without a login");
    const as = (user) => ({ cookie: `user=${user}`, "content-type": "application/json" });
    const { topic, token } = await (await fetch(`${site}/hub`, { headers: as("7") })).json();
    equal(topic, "users/7/**");
    const body = JSON.stringify({ article: "ü" });
    const ordered = await fetch(`${site}/orders`, { method: "POST", headers: as("7"), body });
    equal(ordered.status, 200, await ordered.text());
    const history = async (wanted) => {
      const headers = { authorization: `Bearer ${token}`, accept: "application/json" };
      return fetch(`${hub.url}/events?topic=${wanted}`, { headers });
    };
    const { events } = await (await history("users/7/**")).json();
    equal(events.map(({ topic }) => topic), ["users/7/orders"]);
    equal(JSON.parse(events[0].data), { article: "ü" });
    equal((await history("users/8/**")).status, 403, "another's topics");
    const headers = { authorization: `Bearer ${token}` };
    const address = `${hub.url}/events/users/7/orders`;
    const forged = await fetch(address, { method: "POST", headers, body });
    equal(forged.status, 403, "publishing with a reader's token");
  };
  // Next.js compiles each route when it is asked for first.
  test(sentence, fn, { seconds: 150 });
}

test("recipe for Laravel: it is PHP", async () => {
  const [code] = recipe("Laravel");
  ok(code.split("\n").length - 1 <= LINES_MAX, "its length");
  const done = spawnSync("php", ["-l"], { input: code, encoding: "utf8" });
  if (done.error) throw new Skipped("php is not here");
  equal(done.status, 0, done.stdout);
});

test("the page of the recipes shows what is published, without a token in any URL", async () => {
  const [html] = [...PAGE.matchAll(/^```html\n(.*?)^```$/gms)].map(([, code]) => code);
  // The application's origin must be known before the hub, and the hub's before the page.
  const site = { application: "", html };
  const server = createServer((incoming, outgoing) => {
    if (incoming.url === "/") {
      outgoing.setHeader("content-type", "text/html");
      return outgoing.end(site.html);
    }
    const { method, headers } = incoming;
    const passed = httpRequest(site.application + incoming.url, { method, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode, answer.headers);
      answer.pipe(outgoing);
    });
    incoming.pipe(passed);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  after(() => {
    server.closeAllConnections();
    server.close();
  });
  const origin = `http://127.0.0.1:${server.address().port}`;
  const hub = await startMercure(["--cors-origin", origin]);
  site.html = html.replaceAll("http://127.0.0.1:3000", hub.url);
  site.application = await start("Express", hub);

  const page = await openPage();
  await page.context().addCookies([{ name: "user", value: "7", url: origin }]);
  const urls = [];
  page.on("request", (request) => urls.push(request.url()));
  await page.goto(origin);
  await until("it listens", async () => (await hub.stats()).subscribers === 1);
  const ordered = await page.evaluate(async () => {
    const headers = { "content-type": "application/json" };
    const body = JSON.stringify({ article: 1 });
    return (await fetch("/orders", { method: "POST", headers, body })).status;
  });
  equal(ordered, 200);
  const shown = () => page.evaluate(() => list.textContent);
  await until("it is shown", async () => (await shown()) === '{"article":1}\n');
  ok(!urls.some((url) => url.includes("token")), urls.join("\n"));
  equal(page.problems, []);
});
