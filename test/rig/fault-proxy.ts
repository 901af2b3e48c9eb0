/**
 * A TCP proxy on loopback that fails as networks do. Each replica has its own in front of the API server, so that the path of
 * one can fail while those of the others work. TLS passes through unchanged; the API server's certificate is for
 * 127.0.0.1, whatever the port.
 */
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { FaultLane } from './fault-lane.js';

/** `requests` go to the server; `replies`, including watch events, come from it. */
export type Direction = 'requests' | 'replies';

interface Connection {
  readonly client: Socket;
  readonly server: Socket;
  readonly lanes: Readonly<Record<Direction, FaultLane>>;
}

const BOTH: readonly Direction[] = ['requests', 'replies'];

export class FaultProxy {
  readonly url: string;
  /** Where new connections go. */
  target: URL;
  /** How many connections have been accepted. */
  connections = 0;
  readonly #listener;
  readonly #open = new Set<Connection>();
  readonly #awaiting: Readonly<Record<Direction, (() => void)[]>> = { requests: [], replies: [] };
  #refusing = false;
  #held: readonly Direction[] = [];
  #delayMs = 0;

  private constructor(target: string, listener: ReturnType<typeof createServer>) {
    this.target = new URL(target);
    this.#listener = listener;
    this.url = `https://127.0.0.1:${String((listener.address() as AddressInfo).port)}`;
    listener.on('connection', (client: Socket) => {
      this.#accept(client);
    });
  }

  /** Starts a proxy in front of `target`. */
  static async start(target: string): Promise<FaultProxy> {
    // Half-open connections are allowed, because the lanes pass on each end.
    const listener = createServer({ allowHalfOpen: true });
    await new Promise<void>((resolve, reject) => {
      listener.once('error', reject);
      listener.listen(0, '127.0.0.1', resolve);
    });
    return new FaultProxy(target, listener);
  }

  /** How many connections the client holds open. */
  get held(): number {
    return [...this.#open].filter(({ client }) => !client.readableEnded && !client.destroyed).length;
  }

  /** Resets every connection and refuses new ones. */
  cut(): void {
    this.#refusing = true;
    for (const { client, server } of this.#open) {
      client.resetAndDestroy();
      server.resetAndDestroy();
    }
  }

  /**
   * Holds the data of a direction, on old and new connections, and keeps them open. With 'replies' the server carries out
   * requests, but no answer arrives; without a direction nothing passes.
   */
  stall(direction?: Direction): void {
    this.#held = direction === undefined ? BOTH : [direction];
    this.#apply();
  }

  /** Stalls the replies; resolves when the server has carried out a request whose reply is held. */
  async holdReply(): Promise<void> {
    const held = this.next('replies');
    this.stall('replies');
    await held;
  }

  /** Makes all open connections silent for ever, in this direction or in both, without closing them. New ones work. */
  halfOpen(direction?: Direction): void {
    for (const { lanes } of this.#open) {
      for (const each of direction === undefined ? BOTH : [direction]) lanes[each].set('silent', 0);
    }
  }

  /** Delays everything by this much, in each direction. */
  delay(ms: number): void {
    this.#delayMs = ms;
    this.#apply();
  }

  /** Ends all faults: held data passes at once. Silent connections stay silent. */
  heal(): void {
    this.#refusing = false;
    this.#held = [];
    this.#delayMs = 0;
    this.#apply();
  }

  /** Resolves when more data of this direction has arrived. It has passed, unless it is held. */
  next(direction: Direction): Promise<void> {
    return new Promise((resolve) => {
      this.#awaiting[direction].push(resolve);
    });
  }

  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.#listener.close(resolve));
    this.cut();
    await closed;
  }

  #accept(client: Socket): void {
    if (this.#refusing) {
      client.on('error', () => undefined);
      client.resetAndDestroy();
      return;
    }
    this.connections += 1;
    const { hostname, port } = this.target;
    const server = connect({ host: hostname, port: Number(port), allowHalfOpen: true });
    const connection: Connection = {
      client,
      server,
      lanes: {
        requests: this.#lane('requests', client, server),
        replies: this.#lane('replies', server, client),
      },
    };
    this.#open.add(connection);
    const forget = (): void => {
      if (client.destroyed && server.destroyed) this.#open.delete(connection);
    };
    client.on('close', forget);
    server.on('close', forget);
  }

  #lane(direction: Direction, from: Socket, to: Socket): FaultLane {
    return new FaultLane(from, to, {
      state: this.#held.includes(direction) ? 'held' : 'flowing',
      delayMs: this.#delayMs,
      onArrival: () => {
        this.#onArrival(direction);
      },
    });
  }

  #apply(): void {
    for (const { lanes } of this.#open) {
      for (const direction of BOTH) {
        lanes[direction].set(this.#held.includes(direction) ? 'held' : 'flowing', this.#delayMs);
      }
    }
  }

  #onArrival(direction: Direction): void {
    for (const resolve of this.#awaiting[direction].splice(0)) resolve();
  }
}
