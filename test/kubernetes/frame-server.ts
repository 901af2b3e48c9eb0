import type { AddressInfo, Socket } from 'node:net';
import tls from 'node:tls';

const DATA = 0;
const HEADERS = 1;
const RST_STREAM = 3;
const SETTINGS = 4;
const PING = 6;
const GOAWAY = 7;
const ACK = 1;
const END_STREAM = 1;
const END_HEADERS = 4;
const PREFACE_BYTES = 24;
const HEADER_BYTES = 9;
const LARGEST_STREAM = 2 ** 31 - 1;
/** `:status: 200` in HPACK. */
const STATUS_200 = Buffer.from([0x88]);

/** One request, and the frames to answer it with. None of them ends its stream. */
export interface FrameStream {
  /** Sends the headers and a first piece of the body. */
  respond(text: string): void;
  /** Sends RST_STREAM. */
  reset(code: number): void;
  /** Sends GOAWAY without an error, once. */
  goAway(): void;
  /** Sends PING. Resolves when the client has answered, and so has read everything before it. */
  ping(): Promise<void>;
}

/** An HTTP/2 server that sends what a test says, frame by frame. Node's own server does not send these sequences. */
export class FrameServer {
  readonly #server: tls.Server;

  private constructor(certificate: tls.TlsOptions, onRequest: (stream: FrameStream) => void) {
    this.#server = tls.createServer({ ...certificate, ALPNProtocols: ['h2'] }, (socket) => {
      converse(
        socket.on('error', () => undefined),
        onRequest,
      );
    });
  }

  static async start(
    certificate: tls.TlsOptions,
    onRequest: (stream: FrameStream) => void,
  ): Promise<FrameServer> {
    const server = new FrameServer(certificate, onRequest);
    await new Promise<void>((resolve) => server.#server.listen(0, '127.0.0.1', resolve));
    return server;
  }

  get url(): string {
    return `https://127.0.0.1:${String((this.#server.address() as AddressInfo).port)}`;
  }

  stop(): void {
    this.#server.close();
  }
}

function converse(socket: Socket, onRequest: (stream: FrameStream) => void): void {
  const send = (type: number, flags: number, stream: number, payload: Buffer): void => {
    const header = Buffer.alloc(HEADER_BYTES);
    header.writeUIntBE(payload.length, 0, 3);
    header.writeUInt8(type, 3);
    header.writeUInt8(flags, 4);
    header.writeUInt32BE(stream, 5);
    socket.write(Buffer.concat([header, payload]));
  };
  let onPingAnswered = (): void => undefined;
  const streamOf = (id: number): FrameStream => ({
    respond: (text) => {
      send(HEADERS, END_HEADERS, id, STATUS_200);
      send(DATA, 0, id, Buffer.from(text));
    },
    reset: (code) => {
      send(RST_STREAM, 0, id, uint32(code));
    },
    goAway: () => {
      send(GOAWAY, 0, 0, Buffer.concat([uint32(LARGEST_STREAM), uint32(0)]));
    },
    ping: () =>
      new Promise((resolve) => {
        onPingAnswered = resolve;
        send(PING, 0, 0, Buffer.alloc(8));
      }),
  });
  const onFrame = (type: number, flags: number, stream: number): void => {
    if (type === SETTINGS && (flags & ACK) === 0) send(SETTINGS, ACK, 0, Buffer.alloc(0));
    if (type === PING && (flags & ACK) !== 0) onPingAnswered();
    if ((type === HEADERS || type === DATA) && (flags & END_STREAM) !== 0) onRequest(streamOf(stream));
  };
  send(SETTINGS, 0, 0, Buffer.alloc(0));
  let isGreeted = false;
  let rest = Buffer.alloc(0);
  socket.on('data', (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk]);
    if (!isGreeted && rest.length >= PREFACE_BYTES) {
      isGreeted = true;
      rest = rest.subarray(PREFACE_BYTES);
    }
    while (isGreeted && rest.length >= HEADER_BYTES) {
      const end = HEADER_BYTES + rest.readUIntBE(0, 3);
      if (rest.length < end) return;
      onFrame(rest.readUInt8(3), rest.readUInt8(4), rest.readUInt32BE(5));
      rest = rest.subarray(end);
    }
  });
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
