/** Frames that a server sends over HTTP/2. Afterwards a good server answers on the same address, and the client must find it. */
import type { Socket } from 'node:net';
import { Transport } from '../../../lib/kubernetes/transport.js';
import { HandClock } from '../../kubernetes/hand-clock.js';
import { leaseOf } from '../../kubernetes/lease-fixtures.js';
import { selfSigned } from '../../testing/lease-api-server/self-signed.js';
import type { Target } from '../fuzzing.js';
import { TOKEN, checkPrototypes, checkTransportError, outcomeOf } from '../promises.js';
import { RawServer } from './raw-server.js';

const HEADER_BYTES = 9;
const PREFACE_BYTES = 24;
const [DATA, SETTINGS, PING] = [0, 4, 6];
/** The type of the frame that begins a request. */
export const HEADERS = 1;
const [END_STREAM, ACK, END_HEADERS] = [1, 1, 4];
/** How many connections a request may open before it gives up. */
const MOST_CONNECTIONS = 20;
/** How long a server is silent before the caller gives up. Nothing depends on it. */
const SILENCE_MS = 60;
/** How long a request to the good server may take, and how many may go to sessions of before. */
const [ANSWERED_WITHIN_MS, MOST_TRIES] = [1_000, 5];
/** How long a caller waits, by its own clock. */
const PATIENCE_MS = 1_000;

interface Started {
  readonly server: RawServer;
  readonly ca: string;
}
let started: Promise<Started> | undefined;

async function start(): Promise<Started> {
  const { key, cert } = selfSigned('127.0.0.1');
  return { server: await RawServer.start({ key, cert, ALPNProtocols: ['h2'] }), ca: cert };
}

export const http2Frames: Target = {
  name: 'http2-frames',
  runsPerSecond: 40,
  async run(input) {
    started ??= start();
    const { server, ca } = await started;
    const clock = new HandClock();
    const transport = new Transport(clock);
    const route = { tls: { ca, rejectUnauthorized: true }, proxied: undefined };
    const request = {
      method: 'GET',
      url: new URL(`https://127.0.0.1:${String(server.port)}/apis`),
      headers: { Authorization: `Bearer ${TOKEN}` },
    } as const;
    let given = new AbortController();
    const giveUp = (): void => {
      clock.pass(PATIENCE_MS);
      given.abort();
    };
    for (const kind of ['exchange', 'open'] as const) {
      const own = new AbortController();
      given = own;
      // Also when the connection has closed: Node's client may not have seen it.
      const giveUpOwn = (): void => {
        if (given === own) giveUp();
      };
      const before = server.connections;
      server.onConnection = (socket) => {
        // Only its caller ends a client that never gives up: too many connections are a fault.
        if (server.connections - before > MOST_CONNECTIONS) giveUpOwn();
        beHostile(socket, input, giveUpOwn);
      };
      let length = 0;
      const outcome = await outcomeOf(async () => {
        const call = { ...request, signal: given.signal, newConnection: false };
        const answer = await transport[kind](call, route);
        if (Symbol.asyncIterator in answer) for await (const piece of answer) length += piece.length;
      });
      if ('error' in outcome) checkTransportError(outcome.error);
      if (length > input.length) throw new Error('A watch has more bytes than were sent.');
      const opened = server.connections - before;
      if (opened > MOST_CONNECTIONS)
        throw new Error(`One request opened more than ${String(MOST_CONNECTIONS)} connections.`);
    }
    server.onConnection = beGood;
    // A session that reads no more is found by a request that gets no answer; the next one avoids it.
    const texts: string[] = [];
    for (let tries = 0; texts.length === 0 && tries < MOST_TRIES; tries += 1) {
      given = new AbortController();
      const unanswered = setTimeout(giveUp, ANSWERED_WITHIN_MS);
      const call = { ...request, signal: given.signal, newConnection: true };
      const outcome = await outcomeOf(() => transport.exchange(call, route));
      clearTimeout(unanswered);
      if ('value' in outcome) texts.push(outcome.value.text);
    }
    if (texts[0] !== JSON.stringify(leaseOf())) throw new Error('The client does not find the good server.');
    transport.close();
    server.cut();
    checkPrototypes();
  },
  async close() {
    await (await started)?.server.stop();
    started = undefined;
  },
};

/** Sends the frames before the first one of a stream at once, the rest when a request has come, and closes the connection. */
export function beHostile(socket: Socket, input: Buffer, giveUp: () => void): void {
  const from = beginOfStreams(input);
  socket.write(input.subarray(0, from));
  const rest = (): void => {
    clearTimeout(timer);
    socket.end(input.subarray(from));
    // After some errors Node's client reads no more, and so does not see the end: the caller must give up.
    timer = setTimeout(giveUp, SILENCE_MS);
  };
  // Without valid settings no request comes.
  let timer = setTimeout(rest, SILENCE_MS);
  onFrames(socket, ({ type }) => {
    if (type === HEADERS) rest();
  });
}

/** Answers each request with the Lease. */
function beGood(socket: Socket): void {
  socket.write(frame(SETTINGS, 0, 0, Buffer.alloc(0)));
  onFrames(socket, ({ type, flags, stream }) => {
    if (type === SETTINGS && (flags & ACK) === 0) socket.write(frame(SETTINGS, ACK, 0, Buffer.alloc(0)));
    if (type === PING && (flags & ACK) === 0) socket.write(frame(PING, ACK, 0, Buffer.alloc(8)));
    if (type !== HEADERS) return;
    // `:status: 200` in HPACK.
    socket.write(frame(HEADERS, END_HEADERS, stream, Buffer.from([0x88])));
    socket.write(frame(DATA, END_STREAM, stream, Buffer.from(JSON.stringify(leaseOf()))));
  });
}

interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
}

/** Reads what a client sends. */
export function onFrames(socket: Socket, use: (frame: Frame) => void): void {
  let rest = Buffer.alloc(0);
  let skip = PREFACE_BYTES;
  socket.on('data', (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk]);
    const skipped = Math.min(skip, rest.length);
    skip -= skipped;
    rest = rest.subarray(skipped);
    while (rest.length >= HEADER_BYTES) {
      const end = HEADER_BYTES + rest.readUIntBE(0, 3);
      if (rest.length < end) return;
      const [type, flags, stream] = [rest.readUInt8(3), rest.readUInt8(4), rest.readUInt32BE(5)];
      rest = rest.subarray(end);
      use({ type, flags, stream });
    }
  });
}

/** Where the first frame of a stream begins; the end of the bytes if there is none. */
function beginOfStreams(bytes: Buffer): number {
  let at = 0;
  while (at + HEADER_BYTES <= bytes.length) {
    if (bytes.readUInt32BE(at + 5) !== 0) return at;
    at += HEADER_BYTES + bytes.readUIntBE(at, 3);
  }
  return bytes.length;
}

export function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUIntBE(payload.length, 0, 3);
  header.writeUInt8(type, 3);
  header.writeUInt8(flags, 4);
  header.writeUInt32BE(stream, 5);
  return Buffer.concat([header, payload]);
}
