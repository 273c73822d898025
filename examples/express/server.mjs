// A backend that publishes, and gives each visitor's page a token for its topics.
//
//   npm install express jsonwebtoken @tidings-hub/tidings
//   export TIDINGS_JWT_SECRET=$(openssl rand -hex 32)
//   tidings serve --cors-origin http://localhost:8080 &
//   node server.mjs     # then open http://localhost:8080, and
//   curl -X POST --json '{"state":"sent"}' http://localhost:8080/orders/7

import express from "express";
import jwt from "jsonwebtoken";

const HUB = "http://127.0.0.1:3000";
const SECRET = process.env.TIDINGS_JWT_SECRET;
const own = jwt.sign({ mercure: { publish: ["orders/*"] } }, SECRET);

const app = express();

app.post("/orders/:id", express.json(), async (request, response) => {
  const answer = await fetch(`${HUB}/events/orders%2F${encodeURIComponent(request.params.id)}`, {
    method: "POST",
    headers: { authorization: `Bearer ${own}` },
    body: JSON.stringify(request.body),
  });
  response.status(answer.status).json(await answer.json());
});

app.get("/token", (request, response) => {
  // Your session identifies the user, and the user's orders.
  const subscribe = ["orders/7"];
  response.type("text").send(jwt.sign({ mercure: { subscribe } }, SECRET, { expiresIn: "10m" }));
});

// Tabs share a worker only if its script is of the page's own origin, so it is not the hub's.
app.use("/js", express.static("node_modules/@tidings-hub/tidings"));

app.get("/", (request, response) => response.sendFile("page.html", { root: import.meta.dirname }));

app.listen(8080, "localhost");
