// An application with sessions, in Express: as in docs/guides/access.md.

import express from "express";
import session from "express-session";

const app = express();
const options = { secret: "of-the-test", name: "sessionid", resave: false };
app.use(session({ ...options, saveUninitialized: false }));
let asked = 0;

app.post("/login", (request, response) => {
  request.session.user = request.query.user;
  response.json({ user: request.session.user });
});

app.post("/logout", (request, response) => {
  request.session.destroy(() => response.json({}));
});

app.get("/hub/auth", (request, response) => {
  asked += 1;
  const user = request.session.user;
  if (!user) return response.sendStatus(403);
  response.json({ sub: user, subscribe: [`orders/${user}/**`], expires_in: 1 });
});

app.get("/asked", (request, response) => response.json({ asked }));

app.listen(Number(process.argv[2]), "127.0.0.1");
