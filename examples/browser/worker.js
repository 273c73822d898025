// A browser allows six HTTP/1.1 connections per host, all tabs together. One EventSource here
// serves them all.

const source = new EventSource("http://127.0.0.1:3000/events/hello");
const ports = [];

source.onmessage = (event) => {
  for (const port of ports) port.postMessage(event.data);
};

self.onconnect = (event) => {
  ports.push(event.ports[0]);
};
