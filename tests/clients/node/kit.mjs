// What the tests share: a backend, clients, and how to wait for a hold.
//
// Everything waits with a deadline and nothing sleeps for a fixed time. Pincushion runs already; the
// environment says where.
import { createServer, get } from "node:http";
import { setTimeout as pause } from "node:timers/promises";

export const WAIT_MS_MAX = 20_000;
const PACE_MS = 10;
const { CLIENT_PORT, CONTROL_PORT, BACKEND_PORT } = process.env;

const answers = new Map();
const seen = new Map();

const server = createServer((request, response) => {
  seen.set(request.url, request.headers);
  const [fields, content] = answers.get(request.url);
  response.writeHead(200, { ...fields, "Content-Length": Buffer.byteLength(content) });
  response.end(content);
});
server.keepAliveTimeout = 75_000;

/** Starts the backend. */
export function startBackend() {
  return new Promise((done) => server.listen(Number(BACKEND_PORT), "127.0.0.1", done));
}

/** Ends the backend and its connections. */
export function stopBackend() {
  server.close();
  server.closeAllConnections();
}

/** Tells the backend what to say at this path, which no other test uses. */
export function answer(path, fields, content = "") {
  answers.set(path, [fields, content]);
}

/** The fields of the last request for this path that the backend got. */
export function seenAt(path) {
  return seen.get(path);
}

/** How many clients are held; `kind` is a metric's name without `pincushion_held_`. */
async function held(kind) {
  const metrics = await fetch(`http://localhost:${CONTROL_PORT}/metrics`);
  const found = new RegExp(`^pincushion_held_${kind} (\\d+)$`, "m").exec(await metrics.text());
  return Number(found[1]);
}

async function waitUntil(what, isSo) {
  const deadline = Date.now() + WAIT_MS_MAX;
  while (!(await isSo())) {
    if (Date.now() > deadline) throw new Error(`never: ${what}`);
    await pause(PACE_MS);
  }
}

/** Waits until no client is held, so that the next test can count from 0. */
export function gone() {
  return waitUntil("nobody is held", async () => (await held("long_polls")) + (await held("streams")) === 0);
}

/** A client of pincushion with a GET request. */
export class Client {
  #request;
  #response;
  #pieces;

  constructor(path) {
    this.#request = get({ host: "127.0.0.1", port: CLIENT_PORT, path, agent: false, timeout: WAIT_MS_MAX });
    this.#request.on("timeout", () => this.#request.destroy(new Error("nothing comes any more")));
    this.#response = new Promise((done, failed) => {
      this.#request.on("response", done);
      this.#request.on("error", failed);
    });
    // Whoever waits for the response sees the error; nobody has to.
    this.#response.catch(() => {});
  }

  /** The response without its content: `statusCode`, `headers`. */
  head() {
    return this.#response;
  }

  /** The content up to the end of the response. */
  async finish() {
    const pieces = [];
    for await (const piece of await this.#response) pieces.push(piece);
    return Buffer.concat(pieces);
  }

  /** Reads as much of a stream's content as `length` says, at least. */
  async read(length) {
    this.#pieces ??= (await this.#response)[Symbol.asyncIterator]();
    let content = Buffer.alloc(0);
    while (content.length < length) {
      const { value, done } = await this.#pieces.next();
      if (done) break;
      content = Buffer.concat([content, value]);
    }
    return content.toString();
  }

  close() {
    this.#request.on("error", () => {});
    this.#request.destroy();
  }
}

/** Opens a client, waits until it is held as `kind` says, and closes it after `use`. */
async function withHeld(kind, path, use) {
  const before = await held(kind);
  const client = new Client(path);
  try {
    await waitUntil(`${path} is held`, async () => (await held(kind)) > before);
    await use(client);
  } finally {
    client.close();
  }
}

/** Runs `use` with a client whose long-poll is held. */
export function withPoll(path, use) {
  return withHeld("long_polls", path, use);
}

/** Runs `use` with a client whose stream is held. */
export function withStream(path, use) {
  return withHeld("streams", path, use);
}
