/**
 * Answers HTTP with as little work as can be, so that the network's share shows. Its arguments: the
 * port. A connection ends where the client asks for that.
 */
import { createServer } from 'node:net';

const body = 'hello from the bench\n';
const head = `HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n`;
const kept = `${head}\r\n${body}`;
const closed = `${head}connection: close\r\n\r\n${body}`;

const server = createServer({ noDelay: true }, (socket) => {
  socket.on('data', (request: Buffer) => {
    if (request.includes('onnection: close')) socket.end(closed);
    else socket.write(kept);
  });
  // wrk cuts its connections off at the end of its time.
  socket.on('error', () => socket.destroy());
});
server.listen({ port: Number(process.argv[2]), host: '::', backlog: 4096 });
