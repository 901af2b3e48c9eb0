/**
 * The limit of the machine and its API server without an election: requests over node:http2 and TLS, on sessions that are
 * open and warm. One round has the minimum of a hand-over: the leader's release (a PUT), the event on the follower's
 * watch, the follower's claim (a PUT on top of what the event says).
 */
import { connect, type ClientHttp2Session } from 'node:http2';
import { setTimeout as pause } from 'node:timers/promises';
import { ADMIN_TOKEN } from '../test/rig/users.js';
import type { Surroundings } from './surroundings.js';
import { now } from './until.js';

/** The results of all rounds, in milliseconds. */
export interface FloorFigures {
  readonly get: readonly number[];
  readonly put: readonly number[];
  readonly putToEvent: readonly number[];
  /** From the PUT of one session to the reply to the PUT of the other, which is sent when the event has come. */
  readonly putToEventAndPut: readonly number[];
}

const WARM_UP = 30;
/** The time between two rounds, because hand-overs do not come in a tight loop, either. */
const GAP_MS = 30;

export async function measureFloor(
  { server, namespace }: Surroundings,
  rounds: number,
  onRound: (round: number) => void,
): Promise<FloorFigures> {
  const leases = `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases`;
  const sessions = [new Session(server), new Session(server)] as const;
  const figures = {
    get: [] as number[],
    put: [] as number[],
    putToEvent: [] as number[],
    putToEventAndPut: [] as number[],
  };
  try {
    let lease = await sessions[0].request('POST', leases, {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { name: 'floor' },
      spec: { holderIdentity: 'floor', leaseDurationSeconds: 15 },
    });
    const path = `${leases}/floor`;
    const seen = await sessions[1].watch(`${leases}?watch=true&fieldSelector=metadata.name%3Dfloor`);
    for (let round = 1 - WARM_UP; round <= rounds; round += 1) {
      await pause(GAP_MS);
      const beforeGet = now();
      await sessions[1].request('GET', path);
      const get = now() - beforeGet;
      const from = now();
      const claimed = seen().then(async ({ event, at }) => ({
        claim: await sessions[1].request('PUT', path, withHolder(event, 'follower')),
        at,
      }));
      await sessions[0].request('PUT', path, withHolder(lease, ''));
      const put = now() - from;
      const { claim, at } = await claimed;
      const putToEventAndPut = now() - from;
      lease = claim;
      // The event of the claim itself.
      await seen();
      if (round < 1) continue;
      figures.get.push(get);
      figures.put.push(put);
      figures.putToEvent.push(at - from);
      figures.putToEventAndPut.push(putToEventAndPut);
      onRound(round);
    }
  } finally {
    for (const session of sessions) session.close();
  }
  return figures;
}

interface Lease {
  readonly metadata: object;
  readonly spec: object;
}

function withHolder(lease: Lease, holderIdentity: string): Lease {
  const renewTime = new Date().toISOString().replace('Z', '000Z');
  return { ...lease, spec: { ...lease.spec, holderIdentity, renewTime } };
}

interface Seen {
  readonly event: Lease;
  readonly at: number;
}

/** One HTTP/2 session. */
class Session {
  readonly #session: ClientHttp2Session;

  constructor({ url, ca }: Surroundings['server']) {
    this.#session = connect(url, { ca });
    this.#session.on('error', () => undefined);
  }

  request(method: string, path: string, body?: object): Promise<Lease> {
    return new Promise((resolve, reject) => {
      const stream = this.#stream(method, path);
      let text = '';
      let status = 0;
      stream.setEncoding('utf8');
      stream.on('response', (headers) => {
        status = headers[':status'] ?? 0;
      });
      stream.on('data', (chunk: string) => {
        text += chunk;
      });
      stream.on('error', reject);
      stream.on('end', () => {
        if (status < 300) resolve(JSON.parse(text) as Lease);
        else reject(new Error(`${method} ${path} was answered ${String(status)}: ${text}`));
      });
      stream.end(body && JSON.stringify(body));
    });
  }

  /** Opens a watch. The returned function waits for the next event. */
  watch(path: string): Promise<() => Promise<Seen>> {
    const events: Seen[] = [];
    let wake = (): void => undefined;
    const stream = this.#stream('GET', path);
    let text = '';
    stream.setEncoding('utf8');
    stream.on('data', (chunk: string) => {
      const at = now();
      const lines = (text + chunk).split('\n');
      text = lines.pop() ?? '';
      for (const line of lines) events.push({ event: (JSON.parse(line) as { object: Lease }).object, at });
      wake();
    });
    const next = async (): Promise<Seen> => {
      for (;;) {
        const seen = events.shift();
        if (seen !== undefined) return seen;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    };
    stream.end();
    // The first event shows the present Lease.
    return next().then(() => next);
  }

  close(): void {
    this.#session.destroy();
  }

  #stream(method: string, path: string) {
    return this.#session.request({
      ':method': method,
      ':path': path,
      authorization: `Bearer ${ADMIN_TOKEN}`,
      'content-type': 'application/json',
      accept: 'application/json',
    });
  }
}
