import http2, {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type IncomingHttpHeaders,
  type IncomingHttpStatusHeader,
  type Settings,
} from 'node:http2';
import type { TLSSocket } from 'node:tls';
import { onAbort, type Clock, type Disposer, type MonotonicMs } from '../election/internal.js';
import { Bytes } from './bytes.js';
import { CONNECTION_LOST, TOO_LONG, TransportError, aborted, asTransportError } from './transport-error.js';
import { LONGEST_RESPONSE_BYTES, type HttpRequest, type HttpResponse, type HttpStream } from './transport.js';

/** A request without an answer for this long makes its session doubtful. */
export const OVERDUE_MS = 1_000;
/** How long a session may take to answer a PING. */
const PING_MS = 2_000;
/** The share of a session's streams that watches may use, so that requests find a free one. */
const WATCH_SHARE = 0.8;

const { NGHTTP2_CANCEL, NGHTTP2_NO_ERROR, NGHTTP2_REFUSED_STREAM } = http2.constants;

/** Requests wait for their whole answer, watches for its headers. */
export type StreamKind = 'request' | 'watch';

type ResponseHeaders = IncomingHttpHeaders & IncomingHttpStatusHeader;

/** A stream that failed, and whether its request may be made again. */
export class FailedStream extends Error {
  constructor(
    readonly transportError: TransportError,
    readonly session: Http2Session,
    /** `always`: the server did not process it. `reads`: the session was lost when it was used again. */
    readonly repeatable: 'always' | 'reads' | 'never',
  ) {
    super(transportError.code);
  }
}

/** Called by a session when its owner may have to act. */
export interface SessionListener {
  /** The session takes more streams than before. */
  readonly onRoom: () => void;
  /** The session takes no new streams, at present or at all. */
  readonly onUnusable: () => void;
}

/**
 * One HTTP/2 session.
 *
 * A session is in doubt if a request was given up without an answer, or if a request is overdue when another asks for
 * a new connection. Only then a PING is sent, and the session takes no new streams until it is answered. If it is not
 * answered, the session ends with all its streams, so that a watch on a dead connection ends, too.
 */
export class Http2Session {
  readonly #session: ClientHttp2Session;
  readonly #socket: TLSSocket;
  readonly #authority: string;
  readonly #clock: Clock;
  readonly #listener: SessionListener;
  /** How many streams the server allows. */
  #limit = 1;
  #streams = 0;
  #watches = 0;
  /** The open watches. */
  readonly #open = new Set<WatchStream>();
  /** When each stream that waits for its answer was begun, the oldest first. */
  readonly #unanswered = new Map<ClientHttp2Stream, MonotonicMs>();
  #inDoubt = false;
  #answeredPingAt: MonotonicMs | undefined;
  #wasUsed = false;
  /** Has answered a request. */
  #hasServed = false;
  /** To be ended with its last stream. */
  #isRetired = false;
  /** After GOAWAY, or when the server allows no streams: those with a higher id were not processed. */
  #lastProcessed: number | undefined;
  /** Why the session ended. */
  #error: unknown;

  private constructor(socket: TLSSocket, url: URL, clock: Clock, listener: SessionListener) {
    this.#socket = socket;
    this.#authority = url.host;
    this.#clock = clock;
    this.#listener = listener;
    this.#session = http2.connect(url, {
      createConnection: () => socket,
      settings: { enablePush: false },
    });
    this.#session.on('error', (error) => {
      this.#error ??= error;
    });
    this.#session.on('goaway', (code: number, lastProcessed: number) => {
      this.#drain(lastProcessed, code);
    });
    this.#socket.on('close', () => {
      listener.onUnusable();
    });
  }

  /** Begins a session on a connection. Resolves when the server's settings are known. @throws TransportError */
  static async begin(
    socket: TLSSocket,
    url: URL,
    signal: AbortSignal,
    clock: Clock,
    listener: SessionListener,
  ): Promise<Http2Session> {
    const made = new Http2Session(socket, url, clock, listener);
    try {
      await made.#settled(signal);
    } catch (error) {
      made.end(error);
      throw asTransportError(error, false);
    }
    made.#session.unref();
    return made;
  }

  /** Whether new streams may be begun, as far as there is room. */
  get isUsable(): boolean {
    return !this.#inDoubt && !this.isEnding;
  }

  /** Whether no stream will be begun any more. */
  get isEnding(): boolean {
    return this.#lastProcessed !== undefined || this.#session.closed || this.#session.destroyed;
  }

  get isClosed(): boolean {
    return this.#socket.destroyed;
  }

  /** Whether a stream has been begun on it. */
  get wasUsed(): boolean {
    return this.#wasUsed;
  }

  get streams(): number {
    return this.#streams;
  }

  /** How many watches it takes. */
  get roomForWatches(): number {
    return Math.max(1, Math.floor(this.#limit * WATCH_SHARE));
  }

  /** Whether requests will find a free stream, at the latest when others have ended. */
  get isForRequests(): boolean {
    return this.#watches < this.#limit;
  }

  hasRoomFor(kind: StreamKind): boolean {
    return this.#streams < this.#limit && (kind === 'request' || this.#watches < this.roomForWatches);
  }

  /** Whether a request has been unanswered for {@link OVERDUE_MS}. */
  get isOverdue(): boolean {
    const [oldest] = this.#unanswered.values();
    return oldest !== undefined && this.#clock.now() - oldest >= OVERDUE_MS;
  }

  /** Sends a PING if something is overdue, and nothing has proved since that the session lives. */
  doubtIfOverdue(): void {
    const isProved =
      this.#answeredPingAt !== undefined && this.#clock.now() - this.#answeredPingAt < OVERDUE_MS;
    if (this.isOverdue && !isProved) this.#doubt();
  }

  /** Sends a request and reads its answer. @throws FailedStream, TransportError */
  exchange(request: HttpRequest): Promise<HttpResponse> {
    return new Promise((resolve, reject) => {
      const stream = this.#begin(request);
      const begunAt = this.#clock.now();
      const body = new Bytes(LONGEST_RESPONSE_BYTES);
      let headers: ResponseHeaders | undefined;
      let isWhole = false;
      let failure: unknown;
      const giveUp = (error: unknown): void => {
        failure ??= error;
        cancel(stream);
      };
      const ignore = onAbort(request.signal, () => {
        giveUp(aborted(request.signal, true));
        if (this.#clock.now() - begunAt >= OVERDUE_MS) this.#doubt();
      });
      stream.on('response', (received) => {
        headers = received;
      });
      stream.on('data', (chunk: Buffer) => {
        if (!body.add(chunk)) giveUp(new TransportError(TOO_LONG, true));
      });
      stream.on('end', () => {
        // Node also emits it for a stream that was reset.
        isWhole = stream.rstCode === NGHTTP2_NO_ERROR;
      });
      stream.on('error', (error) => {
        failure ??= error;
      });
      stream.on('close', () => {
        ignore();
        this.#unanswered.delete(stream);
        if (failure !== undefined || headers === undefined || !isWhole) {
          reject(this.#failureOf(stream, failure));
          return;
        }
        this.#hasServed = true;
        resolve({ status: headers[':status'] ?? 0, headers, text: body.take() });
      });
    });
  }

  /** Sends a request and resolves when the headers of the answer are there. @throws FailedStream, TransportError */
  async watch(request: HttpRequest): Promise<HttpStream> {
    const { signal } = request;
    const stream = this.#begin(request);
    const begunAt = this.#clock.now();
    this.#watches += 1;
    // The listeners stay as long as the watch, so they hold the signal and not the whole request.
    return new Promise((resolve, reject) => {
      let failure: unknown;
      const ignore = onAbort(signal, () => {
        failure ??= aborted(signal, true);
        cancel(stream);
        if (this.#unanswered.has(stream) && this.#clock.now() - begunAt >= OVERDUE_MS) this.#doubt();
      });
      stream.on('response', (headers) => {
        this.#unanswered.delete(stream);
        this.#hasServed = true;
        const watch = new WatchStream(stream, headers, () => this.#errorOf(stream, failure));
        this.#open.add(watch);
        stream.on('close', () => this.#open.delete(watch));
        // A watch that was accepted after GOAWAY ends like all others.
        if (this.isEnding) watch.end();
        resolve(watch);
      });
      stream.on('error', (error) => {
        failure ??= error;
      });
      stream.on('close', () => {
        ignore();
        this.#watches -= 1;
        this.#unanswered.delete(stream);
        reject(this.#failureOf(stream, failure));
      });
    });
  }

  /** Ends when the streams that are open have ended: at once if there are none. */
  retire(): void {
    this.#isRetired = true;
    if (this.#streams === 0) this.end();
  }

  /** Ends at once, with all streams. */
  end(error: unknown = new TransportError(CONNECTION_LOST, true)): void {
    this.#error ??= error;
    this.#session.destroy(error as Error);
    // Node would wait until what is written has been sent.
    this.#socket.destroy();
  }

  /** @throws FailedStream if the session has ended. */
  #begin({ method, url, headers, body }: HttpRequest): ClientHttp2Stream {
    let stream: ClientHttp2Stream;
    try {
      stream = this.#session.request(
        {
          ':method': method,
          ':path': url.pathname + url.search,
          // Node leaves the brackets of an IPv6 address out.
          ':authority': this.#authority,
          ...headers,
        },
        { endStream: body === undefined },
      );
    } catch (error) {
      throw new FailedStream(asTransportError(error, false), this, this.isEnding ? 'always' : 'never');
    }
    if (this.#streams === 0) this.#session.ref();
    this.#wasUsed = true;
    this.#streams += 1;
    this.#unanswered.set(stream, this.#clock.now());
    stream.on('close', () => {
      // Node's stream outlives many collections of the young generation, with all that its listeners hold.
      stream.removeAllListeners();
      this.#streams -= 1;
      if (this.#streams === 0 && !this.isClosed) this.#session.unref();
      // Not by Node's close(), whose GOAWAY overtakes requests that have just been begun.
      if (this.#streams === 0 && this.#isRetired) this.end();
      this.#listener.onRoom();
    });
    if (body !== undefined) stream.end(body);
    return stream;
  }

  /** The server takes no new streams. */
  #drain(lastProcessed: number, code = NGHTTP2_NO_ERROR): void {
    this.#lastProcessed = lastProcessed;
    for (const watch of this.#open) watch.end();
    // Node would wait until the server closes the connection, too. After an error it does not.
    if (code === NGHTTP2_NO_ERROR) this.retire();
    this.#listener.onUnusable();
  }

  #doubt(): void {
    if (this.#inDoubt || this.#session.destroyed) return;
    this.#inDoubt = true;
    const giveUp = (): void => {
      const cause = new Error(`The connection did not answer a PING within ${String(PING_MS)} ms.`);
      this.end(new TransportError('ETIMEDOUT', true, { cause }));
    };
    // After a standstill, the event loop runs timers before it reads an answer that may already be there.
    let disarm: Disposer = this.#clock.setTimer(PING_MS, () => {
      disarm = this.#clock.setTimer(0, giveUp);
    });
    this.#session.ping((error: Error | null) => {
      disarm();
      this.#inDoubt = false;
      if (error !== null) return;
      this.#answeredPingAt = this.#clock.now();
      this.#listener.onRoom();
    });
    this.#listener.onUnusable();
  }

  #failureOf(stream: ClientHttp2Stream, failure: unknown): TransportError | FailedStream {
    if (failure instanceof TransportError) return failure;
    const error = this.#errorOf(stream, failure);
    if (this.#wasNotProcessed(stream))
      return new FailedStream(new TransportError(error.code, false, { cause: error.cause }), this, 'always');
    return new FailedStream(error, this, this.#isLost && this.#hasServed ? 'reads' : 'never');
  }

  #errorOf(stream: ClientHttp2Stream, failure: unknown): TransportError {
    if (failure instanceof TransportError) return failure;
    if (this.#isLost) {
      const why = this.#error ?? failure;
      if (why !== undefined) return asTransportError(why, true);
      return new TransportError(CONNECTION_LOST, true, { cause: new Error('The connection was closed.') });
    }
    const code = String(stream.rstCode);
    const cause = failure ?? new Error(`The server ended the stream before the answer, with code ${code}.`);
    return asTransportError(Object.assign(cause as Error, { code: STREAM_ERROR }), true);
  }

  /** Whether the whole session has ended, by whatever cause. */
  get #isLost(): boolean {
    return this.#session.destroyed || this.#socket.destroyed;
  }

  #wasNotProcessed({ id, rstCode }: ClientHttp2Stream): boolean {
    if (rstCode === NGHTTP2_REFUSED_STREAM) return true;
    return this.#lastProcessed !== undefined && (id === undefined || id > this.#lastProcessed);
  }

  async #settled(signal: AbortSignal): Promise<void> {
    const session = this.#session;
    let ignore: Disposer = () => undefined;
    try {
      await new Promise<void>((resolve, reject) => {
        ignore = onAbort(signal, () => {
          reject(signal.reason as Error);
        });
        session.once('error', reject);
        this.#socket.once('close', () => {
          reject(new TransportError(CONNECTION_LOST, false));
        });
        session.once('remoteSettings', () => {
          resolve();
        });
        session.on('remoteSettings', ({ maxConcurrentStreams = Infinity }: Settings) => {
          const before = this.#limit;
          this.#limit = maxConcurrentStreams;
          // Like GOAWAY: nobody knows whether it will ever allow streams again.
          if (this.#limit === 0) this.#drain(Infinity);
          else if (this.#limit > before) this.#listener.onRoom();
        });
      });
    } finally {
      ignore();
    }
  }
}

/** The code of Node for a stream that the server reset. */
const STREAM_ERROR = 'ERR_HTTP2_STREAM_ERROR';

/** How many pieces of a watch may wait to be read before the stream is paused. */
const MOST_UNREAD = 16;

/** A stream as it is read. Node's own iterator would cost more than all the rest of a watch event. */
class WatchStream implements HttpStream, AsyncIterator<Buffer> {
  readonly statusCode: number | undefined;
  readonly headers: ResponseHeaders;
  readonly #stream: ClientHttp2Stream;
  readonly #error: () => TransportError;
  readonly #unread: Buffer[] = [];
  /** Goes on reading. */
  #wake: () => void = () => undefined;
  #isClosed = false;
  /** The server has ended the stream, or it is to end as if the server had. */
  #isEnded = false;

  constructor(stream: ClientHttp2Stream, headers: ResponseHeaders, error: () => TransportError) {
    this.#stream = stream;
    this.headers = headers;
    this.statusCode = headers[':status'];
    this.#error = error;
    stream.on('data', (piece: Buffer) => {
      if (this.#unread.push(piece) >= MOST_UNREAD) stream.pause();
      this.#wake();
    });
    stream.on('end', () => {
      // Node also ends a stream that was reset.
      this.#isEnded ||= stream.rstCode === NGHTTP2_NO_ERROR;
    });
    stream.on('close', () => {
      this.#isClosed = true;
      this.#wake();
    });
  }

  /** Ends as if the server had ended the stream. */
  end(): void {
    this.#isEnded = true;
    cancel(this.#stream);
  }

  destroy(): void {
    cancel(this.#stream);
  }

  [Symbol.asyncIterator](): AsyncIterator<Buffer> {
    return this;
  }

  async next(): Promise<IteratorResult<Buffer, undefined>> {
    if (this.#unread.length === 0 && !this.#isClosed) {
      this.#stream.resume();
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const value = this.#unread.shift();
    if (value !== undefined) return { done: false, value };
    if (!this.#isEnded) throw this.#error();
    return { done: true, value: undefined };
  }

  return(): Promise<IteratorResult<Buffer, undefined>> {
    this.destroy();
    return Promise.resolve({ done: true, value: undefined });
  }
}

/** Resets the stream and destroys it at once, whether or not the reset can be sent. */
function cancel(stream: ClientHttp2Stream): void {
  stream.close(NGHTTP2_CANCEL);
  stream.destroy();
}
