/** A proxy that tunnels by CONNECT and counts. */
import http from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';

/** What becomes of a CONNECT. */
export type Tunnelling = 'tunnel' | 'hang' | 'refuse';

/** See the head of the file. */
export class ConnectProxy {
  /** The targets asked for, `host:port`. */
  readonly targets: string[] = [];
  readonly #http = http.createServer();
  readonly #sockets: (Socket | Duplex)[] = [];
  readonly #waiting: (() => void)[] = [];

  private constructor(tunnelling: Tunnelling) {
    this.#http.on('connection', (socket: Socket) => {
      this.#sockets.push(socket);
      socket.on('error', () => undefined);
    });
    this.#http.on('connect', (request: http.IncomingMessage, client: Duplex) => {
      this.targets.push(request.url ?? '');
      for (const resolve of this.#waiting.splice(0)) resolve();
      if (tunnelling === 'refuse') client.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n');
      if (tunnelling === 'tunnel') this.#tunnel(request.url ?? '', client);
    });
  }

  static async start(tunnelling: Tunnelling = 'tunnel'): Promise<ConnectProxy> {
    const proxy = new ConnectProxy(tunnelling);
    await new Promise<void>((resolve) => proxy.#http.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  get url(): string {
    return `http://127.0.0.1:${String((this.#http.address() as AddressInfo).port)}`;
  }

  /** Connections from clients that are open. */
  get open(): number {
    return this.#sockets.filter((socket) => !socket.destroyed).length;
  }

  /** Resolves at the next CONNECT. */
  async nextConnect(): Promise<void> {
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => {
      this.#http.close(() => {
        resolve();
      });
    });
  }

  #tunnel(target: string, client: Duplex): void {
    const { hostname, port } = new URL(`http://${target}`);
    const server = connect(Number(port), hostname, () => {
      client.write('HTTP/1.1 200 OK\r\n\r\n');
      client.pipe(server).pipe(client);
    });
    server.on('error', () => client.destroy());
    client.on('error', () => server.destroy());
    client.on('close', () => server.destroy());
    server.on('close', () => client.destroy());
  }
}
