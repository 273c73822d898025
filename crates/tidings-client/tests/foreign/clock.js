// The usual first server of a tutorial: the time, once a second, and nothing else of the format.
const http = require('http');

http.createServer((request, response) => {
  response.writeHead(200, {
    'Content-Type': 'text/event-stream',
    'Cache-Control': 'no-cache',
    'Connection': 'keep-alive',
  });
  const tell = () => response.write('data: ' + new Date().toISOString() + '\n\n');
  tell();
  const timer = setInterval(tell, 1000);
  request.on('close', () => clearInterval(timer));
}).listen(Number(process.argv[2]), '127.0.0.1', () => console.log('ready'));
