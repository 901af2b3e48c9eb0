import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FaultProxy } from './fault-proxy.js';

/** The next piece that arrives, as a string. */
async function heard(socket: Socket): Promise<string> {
  const [chunk] = (await once(socket, 'data')) as [Buffer];
  return chunk.toString('utf8');
}

describe('the fault proxy', () => {
  let server: Server;
  let proxy: FaultProxy;
  /** The requests of the server, in order; it answers `x` with `x!`. */
  let asked: string[];
  const clients: Socket[] = [];

  beforeEach(async () => {
    asked = [];
    server = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.on('data', (chunk: Buffer) => {
        asked.push(chunk.toString('utf8'));
        socket.write(`${chunk.toString('utf8')}!`);
      });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    proxy = await FaultProxy.start(`https://127.0.0.1:${String((server.address() as AddressInfo).port)}`);
  });

  afterEach(async () => {
    for (const client of clients.splice(0)) client.destroy();
    await proxy.stop();
    await new Promise((resolve) => server.close(resolve));
  });

  const client = async (url = proxy.url): Promise<Socket> => {
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    clients.push(socket);
    socket.on('error', () => undefined);
    await once(socket, 'connect');
    return socket;
  };

  /** Resolves when the proxy has closed a new connection. */
  const refusal = (): Promise<void> =>
    new Promise((resolve) => {
      const socket = connect(Number(new URL(proxy.url).port), '127.0.0.1');
      socket.on('error', () => undefined);
      socket.on('close', () => {
        resolve();
      });
    });

  const echo = async (socket: Socket, text: string): Promise<string> => {
    const reply = heard(socket);
    socket.write(text);
    return reply;
  };

  it('passes everything through, even the end of a connection', async () => {
    const socket = await client();
    expect(await echo(socket, 'one')).toBe('one!');
    const ended = once(socket, 'close');
    socket.end();
    await ended;
  });

  it('cuts: resets open connections and refuses new ones, until it is healed', async () => {
    const socket = await client();
    await echo(socket, 'one');
    const reset = once(socket, 'error');
    proxy.cut();
    expect(await reset).toMatchObject([{ code: 'ECONNRESET' }]);
    await refusal();
    proxy.heal();
    expect(await echo(await client(), 'two')).toBe('two!');
    expect(asked).toEqual(['one', 'two']);
  });

  it('holds replies after the server has carried out the requests', async () => {
    const old = await client();
    await echo(old, 'one');
    proxy.stall('replies');
    const held = proxy.next('replies');
    const reply = heard(old);
    old.write('two');
    await held;
    expect(asked).toEqual(['one', 'two']);
    const fresh = await client();
    const freshReply = heard(fresh);
    const freshHeld = proxy.next('replies');
    fresh.write('three');
    await freshHeld;
    expect(asked).toEqual(['one', 'two', 'three']);
    expect([old.bytesRead, fresh.bytesRead]).toEqual(['one!'.length, 0]);
    proxy.heal();
    expect(await reply).toBe('two!');
    expect(await freshReply).toBe('three!');
  });

  it.each([
    ['requests', 'requests'],
    ['everything', undefined],
  ] as const)('holds %s, and delivers them afterwards', async (_, direction) => {
    const socket = await client();
    await echo(socket, 'one');
    proxy.stall(direction);
    const held = proxy.next('requests');
    const reply = heard(socket);
    socket.write('two');
    await held;
    expect(asked).toEqual(['one']);
    proxy.heal();
    expect(await reply).toBe('two!');
  });

  it('half-opens: open connections are silent for ever, new ones work', async () => {
    const old = await client();
    await echo(old, 'one');
    proxy.halfOpen();
    old.write('lost');
    const fresh = await client();
    expect(await echo(fresh, 'two')).toBe('two!');
    proxy.heal();
    old.write('lost, too');
    expect(await echo(fresh, 'three')).toBe('three!');
    expect(asked).toEqual(['one', 'two', 'three']);
    expect([old.destroyed, old.bytesRead]).toEqual([false, 'one!'.length]);
  });

  it('delays: data on another connection overtakes, and the order on one connection is kept', async () => {
    const slow = await client();
    await echo(slow, 'one');
    proxy.delay(500);
    const slowReply = heard(slow);
    slow.write('late');
    const direct = await client(proxy.target.href);
    await echo(direct, 'early');
    expect(asked).toEqual(['one', 'early']);
    expect(await slowReply).toBe('late!');
    proxy.heal();
    expect(await echo(slow, 'two')).toBe('two!');
    expect(asked).toEqual(['one', 'early', 'late', 'two']);
  });

  it('sends new connections to another target, and refuses them if nothing listens there', async () => {
    const port = (server.address() as AddressInfo).port;
    const other = createServer((socket) => socket.end('other'));
    other.listen(0, '127.0.0.1');
    await once(other, 'listening');
    const old = await client();
    await echo(old, 'one');
    const otherPort = (other.address() as AddressInfo).port;
    proxy.target = new URL(`https://127.0.0.1:${String(otherPort)}`);
    expect(await heard(await client())).toBe('other');
    expect(await echo(old, 'two')).toBe('two!');
    await new Promise((resolve) => other.close(resolve));
    await refusal();
    proxy.target = new URL(`https://127.0.0.1:${String(port)}`);
    expect(await echo(await client(), 'three')).toBe('three!');
  });
});
