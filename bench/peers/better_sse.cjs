// better-sse on Node's own HTTP server, with one channel that broadcasts. It keeps no log and resumes nothing.
// Run as: node better_sse.cjs PORT, with NODE_PATH where better-sse is installed.
const http = require("node:http");
const { createChannel, createSession } = require("better-sse");

const PET_ID = "019b4127-e295-7be4-976e-b77988a8b015";
const HEARTBEAT_MS = 15000;
const channel = createChannel();
let lastId = 0;
let stock = 100000;

function change() {
  lastId = Math.max(lastId + 1, Math.floor((performance.timeOrigin + performance.now()) * 1000));
  return { id: String(lastId), data: { petId: PET_ID, oldStock: stock++, newStock: stock } };
}

async function stream(request, response, path) {
  const session = await createSession(request, response, { keepAlive: HEARTBEAT_MS });
  if (path === "/short") {
    for (let number = 0; number < 11; number++) {
      const event = change();
      session.push(event.data, number < 10 ? "recommendation" : "complete", event.id);
    }
    response.end();
    return;
  }
  channel.register(session);
  if (path === "/hello") {
    const event = change();
    session.push(event.data, "stock-change", event.id);
  }
}

function publish(count) {
  for (; count > 0; count--) {
    const event = change();
    channel.broadcast(event.data, "stock-change", { eventId: event.id });
  }
}

const server = http.createServer((request, response) => {
  const url = new URL(request.url, "http://localhost");
  if (request.method === "POST") {
    publish(Number(url.searchParams.get("n")));
    response.writeHead(204).end();
  } else {
    stream(request, response, url.pathname).catch(() => response.destroy());
  }
});
server.listen({ port: Number(process.argv[2]), host: "127.0.0.1", backlog: 4096 });
