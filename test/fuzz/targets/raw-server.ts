import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import tls from 'node:tls';

/** A server that sends bytes as they are, over TCP or TLS, and does what a target says with each connection. */
export class RawServer {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** How many connections there have been. */
  connections = 0;
  /** Handles each new connection. */
  onConnection: (socket: Socket) => void = (socket) => socket.destroy();

  private constructor(certificate: tls.TlsOptions | undefined) {
    const handle = (socket: Socket): void => {
      this.connections += 1;
      socket.on('error', () => undefined);
      this.onConnection(socket);
    };
    this.#server = certificate === undefined ? createServer(handle) : tls.createServer(certificate, handle);
    this.#server.on('tlsClientError', () => undefined);
    // Also those on which TLS has not begun.
    this.#server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
  }

  static async start(certificate?: tls.TlsOptions): Promise<RawServer> {
    const server = new RawServer(certificate);
    await new Promise<void>((resolve) => server.#server.listen(0, '127.0.0.1', resolve));
    return server;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** How many connections are open. */
  get open(): number {
    return this.#sockets.size;
  }

  /** Ends every connection. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async stop(): Promise<void> {
    this.cut();
    await new Promise<void>((resolve) => {
      this.#server.close(() => {
        resolve();
      });
    });
  }
}
