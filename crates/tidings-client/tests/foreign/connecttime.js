// The usual second one: a reconnection time, an event with a name of its own, then the date.
const http = require('http');

http.createServer((request, response) => {
  if (request.url !== '/stream') {
    response.writeHead(404);
    response.end();
    return;
  }
  response.writeHead(200, {
    'Content-Type': 'text/event-stream',
    'Cache-Control': 'no-cache',
    'Access-Control-Allow-Origin': '*',
  });
  response.write('retry: 10000\n');
  response.write('event: connecttime\n');
  response.write('data: ' + new Date() + '\n\n');
  response.write('data: ' + new Date() + '\n\n');
  const timer = setInterval(() => response.write('data: ' + new Date() + '\n\n'), 1000);
  request.connection.addListener('close', () => clearInterval(timer), false);
}).listen(Number(process.argv[2]), '127.0.0.1', () => console.log('ready'));
