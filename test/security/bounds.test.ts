/** Whatever a server sends, it costs limited time and memory. */
import { Readable } from 'node:stream';
import { afterEach, describe, expect, it } from 'vitest';
import type { WatchEvent } from '../../lib/election/index.js';
import { KubernetesConnection, KubernetesLeaseLock } from '../../lib/kubernetes/index.js';
import { Bytes } from '../../lib/kubernetes/bytes.js';
import { address, call, leaseOf, record } from '../kubernetes/lease-fixtures.js';
import { ScriptedServer, type Script } from '../kubernetes/scripted-server.js';
import { HandConnection, ok, streamOf } from './hand-connection.js';

const MOST = 3 * 1024 * 1024;
const closing: (() => Promise<void> | void)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

async function lockAt(script: Script): Promise<KubernetesLeaseLock> {
  const server = await ScriptedServer.start(script);
  const connection = new KubernetesConnection({ server: server.url });
  closing.push(
    () => {
      connection.close();
    },
    () => server.stop(),
  );
  return new KubernetesLeaseLock(connection, address);
}

/** Sends the same piece until the client stops reading. */
const endless =
  (piece: string, status = 200): Script =>
  (_request, response) => {
    function* pieces(): Generator<string> {
      for (;;) yield piece;
    }
    response.writeHead(status).on('error', () => undefined);
    Readable.from(pieces()).pipe(response);
  };

describe('a watch', () => {
  /** The events of a watch whose bytes arrive in these pieces. */
  async function watched(pieces: Iterable<Uint8Array>): Promise<WatchEvent[]> {
    const connection = new HandConnection(() => undefined);
    connection.stream = () => Promise.resolve(streamOf(pieces));
    const events: WatchEvent[] = [];
    await new KubernetesLeaseLock(connection, address).watch((event) => events.push(event), call().signal);
    return events;
  }

  it('reads an event of a mebibyte that arrives byte by byte, each byte once', async () => {
    const annotations = { note: 'é'.repeat(512 * 1024) };
    const bytes = Buffer.from(
      `${JSON.stringify({ type: 'ADDED', object: leaseOf(record, { annotations }) })}\n`,
    );
    function* singly(): Generator<Uint8Array> {
      for (let at = 0; at < bytes.length; at++) yield bytes.subarray(at, at + 1);
    }
    const [, seen] = await watched(singly());
    expect(seen).toMatchObject({ snapshot: { record, carried: { metadata: { annotations } } } });
  });

  it('reads many events in one piece, and one event in many', async () => {
    const line = `${JSON.stringify({ type: 'ADDED', object: leaseOf() })}\n`;
    expect(await watched([Buffer.from(line.repeat(3)), Buffer.from('\n\n')])).toHaveLength(1 + 3);
    expect(
      await watched(
        line
          .repeat(2)
          .split('')
          .map((character) => Buffer.from(character)),
      ),
    ).toHaveLength(1 + 2);
  });

  it('fails with an event that never ends, and says why', async () => {
    const lock = await lockAt(endless('x'.repeat(64 * 1024)));
    await expect(lock.watch(() => undefined, call().signal)).rejects.toMatchObject({
      code: 'LEADER_SERVER_ERROR',
      message: expect.stringContaining('longer than any object'),
      maybeCommitted: false,
    });
  });

  it('fails with a refusal that never ends', async () => {
    const lock = await lockAt(endless('x'.repeat(8 * 1024), 403));
    await expect(lock.watch(() => undefined, call().signal)).rejects.toMatchObject({
      code: 'LEADER_FORBIDDEN',
    });
  });
});

describe('a response', () => {
  it('that never ends is given up, and says why', async () => {
    const lock = await lockAt(endless(' '.repeat(64 * 1024)));
    const error = { code: 'LEADER_SERVER_ERROR', message: expect.stringContaining('longer than any object') };
    await expect(lock.get(call())).rejects.toMatchObject({ ...error, maybeCommitted: false });
    await expect(lock.create(record, call())).rejects.toMatchObject({ ...error, maybeCommitted: true });
  });

  it("from a user's transport is bounded, too", async () => {
    const lock = new KubernetesLeaseLock(new HandConnection(() => ok(' '.repeat(MOST + 1))), address);
    await expect(lock.get(call())).rejects.toMatchObject({
      message: expect.stringContaining('longer than any object'),
    });
  });

  it('that is nested without end is an error of this package', async () => {
    const lock = new KubernetesLeaseLock(
      new HandConnection(() => ok(`{"metadata":${'{"a":'.repeat(400_000)}`)),
      address,
    );
    await expect(lock.get(call())).rejects.toMatchObject({ code: 'LEADER_SERVER_ERROR' });
  });
});

describe('a resourceVersion', () => {
  it.each([1, 20, 39])('of %i digits is compared', async (digits) => {
    const resourceVersion = '9'.repeat(digits);
    const lock = new KubernetesLeaseLock(
      new HandConnection(() => ok(leaseOf(record, { resourceVersion }))),
      address,
    );
    expect(await lock.get(call())).toMatchObject({ resourceVersion });
  });

  it.each([40, 2_000_000])('of %i digits is refused, in replies and in watches', async (digits) => {
    const body = leaseOf(record, { resourceVersion: '9'.repeat(digits) });
    const connection = new HandConnection(() => ok(body));
    const lock = new KubernetesLeaseLock(connection, address);
    const unfit = { code: 'LEADER_SERVER_ERROR', message: expect.stringContaining('at most 39 digits') };
    await expect(lock.get(call())).rejects.toMatchObject(unfit);
    for (const type of ['ADDED', 'DELETED']) {
      const watch = lock.watch(() => undefined, call().signal);
      connection.tell(type, body);
      await expect(watch).rejects.toMatchObject(unfit);
    }
  });
});

it('bytes that arrive in pieces are kept in one buffer, which is released if it has grown large', () => {
  const bytes = new Bytes(100_000);
  for (const text of ['a', 'b'.repeat(99_999), '']) {
    for (const byte of Buffer.from(text)) expect(bytes.add(Uint8Array.of(byte))).toBe(true);
    expect(bytes.take()).toBe(text);
  }
  expect(bytes.add(Buffer.alloc(100_001))).toBe(false);
  expect(bytes.add(Buffer.from('x'))).toBe(true);
  expect(bytes.take()).toBe('x');
});
