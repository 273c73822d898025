// Server-sent events on Express, as the tutorials write it: an array of responses, and a loop over
// it. One process, nothing kept, no topics but the path's.
//
//     node server.js PORT
const express = require('express');

const app = express();
app.disable('x-powered-by');
const clients = new Map(); // topic -> Set of responses

app.get('/events/:topic', (request, response) => {
  response.writeHead(200, {
    'Content-Type': 'text/event-stream',
    'Cache-Control': 'no-cache',
    Connection: 'keep-alive',
  });
  response.flushHeaders();
  const { topic } = request.params;
  if (!clients.has(topic)) clients.set(topic, new Set());
  clients.get(topic).add(response);
  request.on('close', () => clients.get(topic).delete(response));
});

let id = 0;
app.post('/events/:topic', express.text({ type: '*/*', limit: '2mb' }), (request, response) => {
  id += 1;
  for (const client of clients.get(request.params.topic) ?? []) {
    client.write(`id: ${id}\ndata: ${request.body}\n\n`);
  }
  response.sendStatus(204);
});

const server = app.listen(Number(process.argv[2]), '127.0.0.1', 4096);
server.requestTimeout = 0;
server.keepAliveTimeout = 600_000;
