import type { TLSSocket } from 'node:tls';
import { onAbort, type Clock, type MonotonicMs } from '../election/internal.js';
import { FailedStream, Http2Session, OVERDUE_MS, type StreamKind } from './http2-session.js';
import { connectTls } from './tls-connection.js';
import { CONNECTION_LOST, TransportError, aborted, asTransportError } from './transport-error.js';
import type { HttpRequest, Route } from './transport.js';

/** How long a connection may take until it can be used. */
const CONNECT_MS = 10_000;
/** How many connections are opened at one time. */
const MOST_CONNECTING = 4;
/**
 * After how many sessions that end unused the waiting requests fail. A server behind a load balancer may be shutting down, and the
 * next connection reaches another; but a server that ends every session must not be connected to in a loop.
 */
const MOST_UNUSED = 5;

/** Makes a request on a session. */
type Begin<T> = (session: Http2Session) => Promise<T>;

/** What a request asks of its session. */
interface Wish {
  readonly kind: StreamKind;
  /** Not a session with an overdue request. */
  readonly newConnection: boolean;
  /** Not this session, which did not process the request. */
  readonly avoided: Http2Session | undefined;
}

/** A request that has no session yet. */
interface Waiting {
  readonly begin: (session: Http2Session) => void;
  readonly useHttp1: () => void;
  readonly fail: (error: TransportError) => void;
}

/** The requests that wait for the same kind of session, the oldest first. */
interface Queue {
  readonly wish: Wish;
  readonly waiting: Set<Waiting>;
}

interface Connecting {
  readonly since: MonotonicMs;
  readonly controller: AbortController;
}

/** What the sessions of one server need. */
export interface Http2SessionsParts {
  readonly url: URL;
  readonly route: Route;
  readonly clock: Clock;
  /** Whether requests go over HTTP/1.1 at present, if no session takes them. */
  readonly usesHttp1: () => boolean;
  /** Takes a connection on which the server chose HTTP/1.1. */
  readonly onHttp1: (socket: TLSSocket) => void;
}

/**
 * The HTTP/2 sessions to one server, shared by requests and watches. Usually there is one. Another is opened when
 * watches need more streams than the server allows in one, or when a session is in doubt. Requests that need another
 * session at the same time wait for the same one.
 */
export class Http2Sessions {
  readonly #parts: Http2SessionsParts;
  readonly #sessions = new Set<Http2Session>();
  readonly #connecting = new Set<Connecting>();
  /** Queues that are not empty. There are few of them, however many requests wait. */
  #queues: Queue[] = [];
  /** How many sessions in a row have ended before a stream could be begun on them. */
  #unused = 0;
  /** How many watches the last new session took. */
  #watchesEach = Infinity;
  #isRetired = false;
  #isClosed = false;

  constructor(parts: Http2SessionsParts) {
    this.#parts = parts;
  }

  get isOpen(): boolean {
    return this.#sessions.size > 0 || this.#queues.length > 0;
  }

  /**
   * Begins a request on a session. One that the server did not process, or a read on a session that was lost when it was used
   * again, is begun once more on another session. Resolves with undefined if the server speaks HTTP/1.1.
   *
   * @throws TransportError
   */
  async send<T>(request: HttpRequest, kind: StreamKind, begin: Begin<T>): Promise<T | undefined> {
    try {
      return await this.#place(request, kind, begin).catch((error: unknown) => {
        if (!isRepeatable(error, request)) throw error;
        return this.#place(request, kind, begin, error.session);
      });
    } catch (error) {
      throw error instanceof FailedStream ? error.transportError : error;
    }
  }

  /** Ends sessions when nobody waits for one and their streams have ended: idle ones now. */
  retire(): void {
    this.#isRetired = true;
    this.#onChange();
  }

  /** Ends every session, and gives up every request that waits for one. */
  close(): void {
    this.#isClosed = true;
    for (const { waiting } of this.#queues)
      for (const each of waiting) each.fail(new TransportError(CONNECTION_LOST, false));
    this.#abandon();
    for (const session of this.#sessions) session.end();
  }

  #place<T>(
    { signal, newConnection }: HttpRequest,
    kind: StreamKind,
    begin: Begin<T>,
    avoided?: Http2Session,
  ): Promise<T | undefined> {
    if (signal.aborted) return Promise.reject(aborted(signal, false));
    if (this.#isClosed) return Promise.reject(new TransportError(CONNECTION_LOST, false));
    const isResent = newConnection && kind === 'request';
    if (isResent) for (const session of this.#sessions) session.doubtIfOverdue();
    const wish = { kind, newConnection: isResent, avoided };
    const session = this.#find(wish);
    if (session !== undefined) return begin(session);
    if (this.#parts.usesHttp1()) return Promise.resolve(undefined);
    return new Promise((resolve, reject) => {
      const { waiting: queue } = this.#queueFor(wish);
      const leave = (): void => {
        ignore();
        queue.delete(waiting);
        if (queue.size > 0) return;
        this.#queues = this.#queues.filter(({ waiting: each }) => each !== queue);
        if (this.#queues.length === 0) this.#abandon();
      };
      const waiting: Waiting = {
        begin: (found) => {
          leave();
          resolve(begin(found));
        },
        useHttp1: () => {
          leave();
          resolve(undefined);
        },
        fail: (error) => {
          leave();
          reject(error);
        },
      };
      const ignore = onAbort(signal, () => {
        waiting.fail(aborted(signal, false));
      });
      queue.add(waiting);
      this.#connectForAll();
      if (isResent && !this.#willFind(wish)) this.#connectBeside();
    });
  }

  #queueFor({ kind, newConnection, avoided }: Wish): Queue {
    const isSame = ({ wish }: Queue): boolean =>
      wish.kind === kind && wish.newConnection === newConnection && wish.avoided === avoided;
    let queue = this.#queues.find(isSame);
    if (queue === undefined) {
      queue = { wish: { kind, newConnection, avoided }, waiting: new Set() };
      this.#queues.push(queue);
    }
    return queue;
  }

  /** The session for a stream: for watches the first with room, so that few are needed; for requests the one with fewest streams. */
  #find(wish: Wish): Http2Session | undefined {
    let found: Http2Session | undefined;
    for (const session of this.#sessions) {
      if (!fits(session, wish) || !session.hasRoomFor(wish.kind)) continue;
      if (wish.kind === 'watch') return session;
      if (found === undefined || session.streams < found.streams) found = session;
    }
    return found;
  }

  /** Gives sessions to those who wait. */
  #serve(): void {
    for (const { wish, waiting } of this.#queues) {
      for (const each of waiting) {
        const session = this.#find(wish);
        if (session === undefined) break;
        each.begin(session);
      }
    }
  }

  /**
   * Opens as many connections as the waiting requests need. A request that can wait for a stream of an open session
   * needs none.
   */
  #connectForAll(): void {
    let wanted = 0;
    for (const { wish, waiting } of this.#queues) {
      if (this.#willFind(wish)) continue;
      wanted = Math.max(wanted, wish.kind === 'watch' ? Math.ceil(waiting.size / this.#watchesEach) : 1, 1);
    }
    while (this.#connecting.size < Math.min(wanted, MOST_CONNECTING)) void this.#connect();
  }

  /** Opens another connection for a resent request if all that are being opened are late, because they may never open. */
  #connectBeside(): void {
    const now = this.#parts.clock.now();
    const allLate = [...this.#connecting].every(({ since }) => now - since >= OVERDUE_MS);
    if (allLate && this.#connecting.size < MOST_CONNECTING) void this.#connect();
  }

  /** Whether a request will find a stream on an open session when others have ended. */
  #willFind(wish: Wish): boolean {
    if (wish.kind === 'watch') return false;
    for (const session of this.#sessions) if (session.isForRequests && fits(session, wish)) return true;
    return false;
  }

  async #connect(): Promise<void> {
    const { clock } = this.#parts;
    const controller = new AbortController();
    const connecting = { since: clock.now(), controller };
    this.#connecting.add(connecting);
    const disarm = clock.setTimer(CONNECT_MS, () => {
      controller.abort(new TransportError('ETIMEDOUT', false));
    });
    let failure: TransportError | undefined;
    try {
      await this.#open(controller.signal);
    } catch (error) {
      failure = asTransportError(error, false);
    }
    disarm();
    this.#connecting.delete(connecting);
    if (failure !== undefined && this.#connecting.size === 0) this.#failNeedy(failure);
    this.#onChange();
  }

  async #open(signal: AbortSignal): Promise<void> {
    const { url, route, clock, onHttp1 } = this.#parts;
    const socket = await connectTls(url, route, signal);
    if (signal.aborted) {
      socket.destroy();
      return;
    }
    if (socket.alpnProtocol !== 'h2') {
      // If nobody waits any more, nobody would use it, and it would keep the process alive.
      if (this.#queues.length > 0) onHttp1(socket);
      else socket.destroy();
      for (const { waiting } of this.#queues) for (const each of waiting) each.useHttp1();
      return;
    }
    const session = await Http2Session.begin(socket, url, signal, clock, {
      onRoom: () => {
        if (this.#queues.length > 0) this.#serve();
      },
      onUnusable: () => {
        this.#onChange();
      },
    });
    this.#watchesEach = session.roomForWatches;
    this.#sessions.add(session);
    if (this.#isClosed) session.end();
  }

  /** After a session came, went, or fell into doubt. */
  #onChange(): void {
    for (const session of this.#sessions) {
      if (!session.isClosed) continue;
      this.#sessions.delete(session);
      this.#unused = session.wasUsed ? 0 : this.#unused + 1;
    }
    if (this.#unused >= MOST_UNUSED) {
      this.#unused = 0;
      this.#failNeedy(new TransportError(CONNECTION_LOST, false));
    }
    this.#serve();
    this.#connectForAll();
    if (this.#isRetired && this.#queues.length === 0) for (const session of this.#sessions) session.retire();
  }

  #failNeedy(error: TransportError): void {
    for (const { wish, waiting } of this.#queues)
      if (!this.#willFind(wish)) for (const each of waiting) each.fail(error);
  }

  /** Gives up the connections that are being opened, because nobody waits for them. */
  #abandon(): void {
    for (const { controller } of this.#connecting)
      controller.abort(new TransportError(CONNECTION_LOST, false));
  }
}

function fits(session: Http2Session, { newConnection, avoided }: Wish): boolean {
  return session.isUsable && session !== avoided && !(newConnection && session.isOverdue);
}

function isRepeatable(error: unknown, { method }: HttpRequest): error is FailedStream {
  if (!(error instanceof FailedStream)) return false;
  return error.repeatable === 'always' || (error.repeatable === 'reads' && method === 'GET');
}
