/** A watch on a server that splits, joins, refuses and ends in every way. */
import type http from 'node:http';
import type { Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import type { WatchEvent } from '../../lib/election/index.js';
import { KubernetesConnection, KubernetesLeaseLock } from '../../lib/kubernetes/index.js';
import { address, call, leaseOf, record } from './lease-fixtures.js';
import { ScriptedServer, answer, type Script } from './scripted-server.js';

let server: ScriptedServer;
let connection: KubernetesConnection;

afterEach(async () => {
  connection.close();
  await server.stop();
});

async function lockAt(script: Script): Promise<KubernetesLeaseLock> {
  server = await ScriptedServer.start(script);
  connection = new KubernetesConnection({ server: server.url });
  return new KubernetesLeaseLock(connection, address);
}

/** Watches until the end, and returns the events. */
async function watched(script: Script): Promise<WatchEvent[]> {
  const lock = await lockAt(script);
  const events: WatchEvent[] = [];
  await lock.watch((event) => events.push(event), call().signal);
  return events;
}

const line = (type: string, object: object = leaseOf()): string => `${JSON.stringify({ type, object })}\n`;

/** Sends each piece separately, then ends. */
function inPieces(pieces: readonly (string | Buffer)[]): Script {
  return async (_request, response) => {
    response.writeHead(200);
    for (const piece of pieces) await written(response, piece);
    response.end();
  };
}

function written(response: http.ServerResponse, piece: string | Buffer): Promise<void> {
  return new Promise((resolve) => {
    response.write(piece, () => {
      setImmediate(resolve);
    });
  });
}

describe('a watch', () => {
  it('asks for one lease, without a resourceVersion, on its own connection', async () => {
    const lock = await lockAt((request, response) => {
      if (request.url.includes('watch=')) response.end();
      else answer(response, 200, leaseOf());
    });
    await lock.get(call());
    await lock.watch(() => undefined, call().signal);
    const [read, watch] = server.requests;
    const url = new URL(watch?.url ?? '', server.url);
    expect(url.pathname).toBe('/apis/coordination.k8s.io/v1/namespaces/ours/leases');
    expect(url.searchParams.get('watch')).toBe('true');
    expect(url.searchParams.get('fieldSelector')).toBe('metadata.name=billing');
    expect(Number(url.searchParams.get('timeoutSeconds'))).toBeGreaterThan(0);
    expect(url.searchParams.has('resourceVersion')).toBe(false);
    expect([read?.connection, watch?.connection]).toEqual([1, 2]);
  });

  it('reports its opening, each state, and the deletion with its version', async () => {
    const text = line('ADDED') + line('MODIFIED', leaseOf({ ...record, holderIdentity: '' }));
    const events = await watched(
      inPieces([text, line('DELETED', leaseOf(record, { resourceVersion: '9' }))]),
    );
    expect(events).toMatchObject([
      { kind: 'opened' },
      { kind: 'seen', snapshot: { record, resourceVersion: '7', uid: 'u1' } },
      { kind: 'seen', snapshot: { record: { holderIdentity: '' } } },
      { kind: 'deleted', resourceVersion: '9' },
    ]);
  });

  it('reads events wherever the bytes are split, even within a character', async () => {
    const bytes = Buffer.from(line('ADDED', leaseOf({ ...record, holderIdentity: 'Zoë 🦊' })));
    const split = bytes.indexOf(0xc3) + 1;
    const inFox = bytes.indexOf(0xf0) + 2;
    const pieces = [bytes.subarray(0, split), bytes.subarray(split, inFox), bytes.subarray(inFox)];
    expect((await watched(inPieces(pieces)))[1]).toMatchObject({
      snapshot: { record: { holderIdentity: 'Zoë 🦊' } },
    });
  });

  it('ignores bookmarks and empty objects', async () => {
    const bookmark = line('BOOKMARK', leaseOf({}, { resourceVersion: '99' }));
    expect(await watched(inPieces([bookmark, line('ADDED', {})]))).toEqual([{ kind: 'opened' }]);
  });

  it('drops an incomplete last line', async () => {
    expect(await watched(inPieces([line('ADDED').slice(0, 60)]))).toEqual([{ kind: 'opened' }]);
  });

  it('fails with an ERROR event', async () => {
    const expired = line('ERROR', { kind: 'Status', reason: 'Expired', code: 410 });
    await expect(watched(inPieces([expired]))).rejects.toMatchObject({ code: 'LEADER_SERVER_ERROR' });
  });

  it('fails when the connection breaks', async () => {
    const breaking: Script = (_request, response, socket) => {
      response.writeHead(200).write(line('ADDED'), () => socket.destroy());
    };
    await expect(watched(breaking)).rejects.toMatchObject({
      code: 'LEADER_UNREACHABLE',
      message: expect.stringContaining('(ECONNRESET)') as string,
      maybeCommitted: false,
    });
  });

  it('fails with the rule to grant if it is not permitted', async () => {
    const denying: Script = (_request, response) => {
      answer(response, 403, { kind: 'Status', reason: 'Forbidden' });
    };
    await expect(watched(denying)).rejects.toMatchObject({
      code: 'LEADER_FORBIDDEN',
      message: expect.stringContaining('permit watch'),
    });
  });

  it('fails with an event longer than any Lease', async () => {
    const endless: Script = (_request, response) => {
      response
        .on('error', () => undefined)
        .end(line('ADDED', leaseOf(record, { annotations: { a: 'x'.repeat(4 * 1024 * 1024) } })));
    };
    await expect(watched(endless)).rejects.toMatchObject({ maybeCommitted: false });
  });

  it.each(['before the answer', 'while open'])(
    'ends without an error when its signal fires %s',
    async (when) => {
      const lock = await lockAt((_request, response) => {
        if (when === 'while open') response.writeHead(200).flushHeaders();
      });
      const stop = new AbortController();
      const ended = lock.watch(() => {
        stop.abort();
      }, stop.signal);
      await server.arrived(1);
      if (when !== 'while open') stop.abort();
      await expect(ended).resolves.toBeUndefined();
      const socket = server.connections[0] as Socket;
      if (!socket.destroyed) await new Promise((resolve) => socket.once('close', resolve));
    },
  );
});
