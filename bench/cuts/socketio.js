// Socket.IO as its own documentation begins: a room a topic, nothing kept.
//
//     node socketio.js PORT
import { createServer } from "node:http";
import { Server } from "socket.io";

const server = createServer((request, response) => {
  const room = request.url.split("/").pop();
  let text = "";
  request.on("data", (piece) => (text += piece));
  request.on("end", () => {
    io.to(room).emit("event", text);
    response.writeHead(204).end();
  });
});

const io = new Server(server, { cors: { origin: "*" } });
io.on("connection", (socket) => socket.join(socket.handshake.query.room));

server.listen(Number(process.argv[2]), "127.0.0.1");
