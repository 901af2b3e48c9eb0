/** Answers of a server that is not an API server, or of one without Leases. */
import { afterEach, describe, expect, it } from 'vitest';
import type { LeaseRequestError } from '../../lib/election/index.js';
import { KubernetesConnection, KubernetesLeaseLock } from '../../lib/kubernetes/index.js';
import { address, call, leaseOf, record } from './lease-fixtures.js';
import { ScriptedServer, answer, type Script } from './scripted-server.js';

const base = { record, uid: 'u1', resourceVersion: '7', carried: leaseOf() };
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

describe('a 404 that is not about the Lease', () => {
  const scripts: [string, Script][] = [
    [
      'a page',
      (_request, response) => {
        response.writeHead(404, { 'content-type': 'text/html' }).end('<h1>404</h1>');
      },
    ],
    [
      'an API server without this resource',
      (_request, response) => {
        answer(response, 404, { kind: 'Status', reason: 'NotFound', details: {} });
      },
    ],
  ];

  it.each(scripts)(
    '(%s) means neither that the Lease nor that the namespace is missing',
    async (_name, script) => {
      const lock = await lockAt(script);
      const expected = { code: 'LEADER_SERVER_ERROR', maybeCommitted: false };
      await expect(lock.get(call())).rejects.toMatchObject(expected);
      await expect(lock.create(record, call())).rejects.toMatchObject(expected);
      await expect(lock.update(base, record, call())).rejects.toMatchObject(expected);
      await expect(lock.watch(() => undefined, call().signal)).rejects.toMatchObject(expected);
    },
  );
});

describe('a watch that is answered with a page', () => {
  it('fails without quoting it', async () => {
    const lock = await lockAt((_request, response) => {
      response.writeHead(200).end('do-not-tell\n');
    });
    const ended = lock.watch(() => undefined, call().signal);
    const error = (await ended.catch((thrown: unknown) => thrown)) as LeaseRequestError;
    expect(error.code).toBe('LEADER_SERVER_ERROR');
    expect(`${error.message}${String(error.cause)}`).not.toContain('do-not-tell');
  });
});
