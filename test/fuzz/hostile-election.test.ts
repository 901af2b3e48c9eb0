/** An election whose server is hostile at first leads as soon as a good server answers on the same address. */
import fc from 'fast-check';
import { afterEach, expect, it } from 'vitest';
import { LeaseElector, resolveElectionOptions } from '../../lib/election/index.js';
import { KubernetesConnection, KubernetesLeaseLock } from '../../lib/kubernetes/index.js';
import { LeaseApiServer } from '../../lib/testing/index.js';
import { address } from '../kubernetes/lease-fixtures.js';
import { FaultProxy } from '../rig/fault-proxy.js';
import { selfSigned } from '../testing/lease-api-server/self-signed.js';
import { corpusOf } from './fuzzing.js';
import { changed } from './mutations.js';
import { TOKEN, checkError } from './promises.js';
import { beHostile, http2Frames } from './targets/http2-frames.js';
import { RawServer } from './targets/raw-server.js';

const HOSTILE_CONNECTIONS = 10;

const disposers: (() => unknown)[] = [];
afterEach(async () => {
  for (const dispose of disposers.splice(0).reverse()) await dispose();
});

it.each([1, 2])('after hostile connections, with seed %i', async (seed) => {
  const certificate = selfSigned('127.0.0.1');
  const corpus = corpusOf(http2Frames).map(({ bytes }) => bytes);
  const inputs = fc.sample(changed(corpus), { seed, numRuns: HOSTILE_CONNECTIONS });
  const hostile = await RawServer.start({ ...certificate, ALPNProtocols: ['h2'] });
  disposers.push(() => hostile.stop());
  const good = await LeaseApiServer.start({ tls: certificate, tokens: { [TOKEN]: 'me' } });
  disposers.push(() => good.stop());
  const proxy = await FaultProxy.start(`https://127.0.0.1:${String(hostile.port)}`);
  disposers.push(() => proxy.stop());
  hostile.onConnection = (socket) => {
    const input = inputs[hostile.connections - 1] ?? Buffer.alloc(0);
    if (hostile.connections >= HOSTILE_CONNECTIONS) proxy.target = new URL(good.url);
    beHostile(socket, input, () => socket.destroy());
  };
  const connection = new KubernetesConnection({
    server: proxy.url,
    token: TOKEN,
    certificateAuthority: certificate.cert,
  });
  disposers.push(() => {
    connection.close();
  });
  const options = resolveElectionOptions(
    { leaseName: address.name, leaseDuration: 2_000, renewDeadline: 1_500, retryPeriod: 100 },
    { leaseNamespace: address.namespace, identity: 'me' },
  );
  const elector = new LeaseElector({ lock: new KubernetesLeaseLock(connection, address), options });
  const stop = new AbortController();
  const errors: unknown[] = [];
  await elector.run(stop.signal, (event) => {
    if (event.type === 'error') errors.push(event.error);
    if (event.type === 'startedLeading') stop.abort();
  });
  errors.forEach(checkError);
  expect(errors).not.toEqual([]);
  expect(stop.signal.aborted).toBe(true);
  expect(hostile.connections).toBeGreaterThanOrEqual(HOSTILE_CONNECTIONS);
});
