// A backend for pincushion in plain Node: it answers at once, pincushion holds the client.
//
//     node backend.mjs [PORT]        # 8000 unless told otherwise; 0: any free port
import { createServer } from "node:http";

// path: [content, fields that tell pincushion what to do with the client]
const answers = {
  // Sent to the client at once; the response then stays open for what is published.
  "/": ["welcome to the stream\n", { "Grip-Hold": "stream", "Grip-Channel": "test" }],
  // Kept back until something is published, or sent as it is after 55 seconds.
  "/poll": ["nothing new\n", { "Grip-Hold": "response", "Grip-Channel": "test" }],
};

const server = createServer((request, response) => {
  const path = request.url.split("?")[0];
  const found = Object.hasOwn(answers, path);
  const [content, fields] = found ? answers[path] : ["no such page\n", {}];
  response.writeHead(found ? 200 : 404, {
    ...fields,
    "Content-Type": "text/plain",
    "Content-Length": Buffer.byteLength(content),
  });
  response.end(content);
});

// Longer than pincushion keeps an idle connection: the side that sends requests should be the
// one that closes, or a request may meet a connection that is just going away.
server.keepAliveTimeout = 75_000;

server.listen(Number(process.argv[2] ?? 8000), "127.0.0.1", () => {
  console.log(`backend on http://localhost:${server.address().port}/`);
});
