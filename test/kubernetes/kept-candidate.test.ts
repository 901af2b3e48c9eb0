/** What becomes of a candidate while its keeper stands and withdraws, by the clock's hand and a server's script. */
import type http from 'node:http';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  KubernetesConnection,
  KubernetesLeaseLock,
  LeaseCandidateKeeper,
} from '../../lib/kubernetes/index.js';
import { HandClock } from './hand-clock.js';
import { ScriptedServer, answer, type SeenRequest } from './scripted-server.js';

const ANSWER_MS = 2_000;
const WITHDRAWAL_MS = 4_000;
const REFRESH_MS = 60_000;

/** What the server does with a request that it does not answer as usual. */
type Whim = 'hangs' | 'fails' | 'is late' | 'ends' | undefined;

let server: ScriptedServer;
let connection: KubernetesConnection;
let keeper: LeaseCandidateKeeper;
let clock: HandClock;
let end: () => void;
/** What was asked about the lease and the candidate, e.g. `PUT leasecandidates`. */
let asked: string[];
let whim: (request: string) => Whim;
let candidate: object | undefined;
/** Carries out what is late. */
let late: () => void;
let wake: () => void = () => undefined;
/** What a watch tells before it ends. */
let event: (() => string) | undefined;
/** How often the keeper said that something may have changed: that there are candidates, that its own is watched. */
let told: number;

/** An API server with one candidate at most, and no lease. */
function serve({ method, url, body }: SeenRequest, response: http.ServerResponse): void {
  if (url.endsWith('v1') || url.endsWith('v1beta1')) {
    answer(response, 200, { resources: url.endsWith('v1') ? [] : [{ name: 'leasecandidates' }] });
    return;
  }
  const kind = url.includes('/leases/') ? 'leases' : 'leasecandidates';
  const request = url.includes('watch=') ? 'watch' : `${method} ${kind}`;
  asked.push(request);
  wake();
  const does = whim(request);
  late = () => {
    carryOut(request, kind, body, response);
  };
  if (does === 'fails') answer(response, 403, {});
  else if (does === 'ends') response.writeHead(200).end(event?.());
  else if (does === undefined && request === 'watch') response.writeHead(200).flushHeaders();
  else if (does === undefined) carryOut(request, kind, body, response);
}

function carryOut(request: string, kind: string, body: string, response: http.ServerResponse): void {
  if (request === 'PUT leasecandidates') {
    const { metadata, spec } = JSON.parse(body) as { metadata: object; spec: object };
    candidate = { metadata: { ...metadata, uid: 'u', resourceVersion: '1' }, spec };
  }
  const found = kind === 'leases' ? undefined : candidate;
  if (request === 'DELETE leasecandidates') candidate = undefined;
  if (found !== undefined) answer(response, 200, found);
  else answer(response, 404, { kind: 'Status', reason: 'NotFound', details: { kind } });
}

/** Resolves when that is so; something has to happen that makes it so. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise<void>((resolve) => (wake = resolve));
}

const times = (request: string): number => asked.filter((each) => each === request).length;

beforeEach(async () => {
  asked = [];
  whim = () => undefined;
  candidate = undefined;
  event = undefined;
  clock = new HandClock();
  server = await ScriptedServer.start(serve);
  connection = new KubernetesConnection({ server: server.url });
  const lease = { name: 'x', namespace: 'default', labels: {} };
  keeper = new LeaseCandidateKeeper({
    connection,
    lock: new KubernetesLeaseLock(connection, lease),
    lease,
    identity: 'me',
    spec: { binaryVersion: '1.0.0', emulationVersion: '1.0.0', strategy: 'OldestEmulationVersion' },
    retryPeriod: ANSWER_MS,
    longestWithdrawal: WITHDRAWAL_MS,
    clock,
  });
  told = 0;
  end = keeper.observe(() => {
    told += 1;
    wake();
  });
  await until(() => keeper.elects === true);
});

afterEach(async () => {
  end();
  connection.close();
  await server.stop();
});

describe('a candidate', () => {
  it('is written and watched anew every minute: a watch that says nothing may be none', async () => {
    keeper.stand();
    await until(() => told === 2);
    await clock.ring(REFRESH_MS);
    await until(() => times('watch') === 2);
    expect(times('PUT leasecandidates')).toBe(2);
  });

  it('is in order again when it could be written and watched', async () => {
    whim = (request) => (request === 'PUT leasecandidates' ? 'fails' : undefined);
    keeper.stand();
    await until(() => keeper.objection !== undefined);
    expect(keeper.objection?.code).toBe('LEADER_FORBIDDEN');
    whim = () => undefined;
    await clock.ring(ANSWER_MS);
    await until(() => keeper.objection === undefined);
    expect(candidate).toBeDefined();
  });
});

describe('a watch on the candidate', () => {
  /** Whatever follows at once from what was answered has been asked by then. */
  const afterAWhile = async (): Promise<void> => {
    for (let turns = 0; turns < 20; turns++) await fetch(`${server.url}/v1`);
  };
  const tells = (type: string, times: object = {}): string => {
    const { metadata, spec } = candidate as { metadata: object; spec: object };
    return `${JSON.stringify({ type, object: { metadata, spec: { ...spec, ...times } } })}\n`;
  };

  it('that ends as soon as it has opened is opened once more, then once a retryPeriod, and nothing is written for it', async () => {
    whim = (request) => (request === 'watch' ? 'ends' : undefined);
    keeper.stand();
    await clock.ring(0);
    await until(() => times('watch') === 2);
    await afterAWhile();
    expect([times('watch'), times('PUT leasecandidates'), times('GET leases')]).toEqual([2, 1, 1]);
  });

  it('that tells without end that the candidate is gone has it made once more, then once a retryPeriod', async () => {
    whim = (request) => (request === 'watch' ? 'ends' : undefined);
    event = () => tells('DELETED').repeat(50);
    keeper.stand();
    await until(() => times('PUT leasecandidates') === 2);
    await afterAWhile();
    expect(times('PUT leasecandidates')).toBe(2);
  });

  it('that tells of a ping which no answer satisfies has it answered once, then once a retryPeriod', async () => {
    whim = (request) => (request === 'watch' ? 'ends' : undefined);
    event = () => tells('MODIFIED', { pingTime: '2030-01-01T00:00:00.000000Z' }).repeat(50);
    keeper.stand();
    await until(() => times('PUT leasecandidates') === 2);
    const { metadata, spec } = candidate as { metadata: object; spec: { renewTime: string } };
    expect(spec.renewTime).toBe('2030-01-01T00:00:00.000000Z');
    // A webhook takes the answer back.
    candidate = { metadata, spec: { ...spec, renewTime: '2020-01-01T00:00:00.000000Z' } };
    await afterAWhile();
    expect(times('PUT leasecandidates')).toBe(2);
  });

  it('that is denied leaves the candidate to be written once a retryPeriod, and says why', async () => {
    whim = (request) => (request === 'watch' ? 'fails' : undefined);
    keeper.stand();
    await until(() => keeper.objection !== undefined);
    expect(keeper.objection?.code).toBe('LEADER_FORBIDDEN');
    await clock.ring(ANSWER_MS);
    await until(() => times('PUT leasecandidates') === 2);
    expect(times('watch')).toBe(1);
  });
});

describe('a withdrawal', () => {
  it('tries once more to delete the candidate, and tells what failed', async () => {
    keeper.stand();
    await until(() => times('watch') === 1);
    whim = (request) => (request.startsWith('DELETE') && times(request) === 1 ? 'fails' : undefined);
    await keeper.withdraw();
    expect([times('DELETE leasecandidates'), candidate]).toEqual([2, undefined]);
    expect(keeper.objection?.code).toBe('LEADER_FORBIDDEN');
  });

  it('comes first: a candidate that stands again is written when it is over', async () => {
    keeper.stand();
    await until(() => times('watch') === 1);
    whim = (request) => (request.startsWith('DELETE') && times(request) === 1 ? 'hangs' : undefined);
    const withdrawn = keeper.withdraw();
    keeper.stand();
    await until(() => times('DELETE leasecandidates') === 1);
    expect(times('PUT leasecandidates')).toBe(1);
    await clock.ring(ANSWER_MS);
    await withdrawn;
    await until(() => times('watch') === 2);
    expect(asked.slice(-5, -1)).toEqual([
      'DELETE leasecandidates',
      'GET leases',
      'GET leasecandidates',
      'PUT leasecandidates',
    ]);
  });

  it.each(['GET leases', 'GET leasecandidates'])('does not wait for %s', async (slow) => {
    whim = (request) => (request === slow && times(slow) === 1 ? 'hangs' : undefined);
    keeper.stand();
    await until(() => times(slow) === 1);
    await keeper.withdraw();
    expect([candidate, times('PUT leasecandidates')]).toEqual([undefined, 0]);
    expect(keeper.objection).toBeUndefined();
  });

  it('does not wait for an update of the candidate', async () => {
    keeper.stand();
    await until(() => told === 2);
    whim = (request) => (request.startsWith('PUT') ? 'hangs' : undefined);
    await clock.ring(REFRESH_MS);
    await until(() => times('PUT leasecandidates') === 2);
    await keeper.withdraw();
    expect(candidate).toBeUndefined();
  });

  it('waits for a creation, which might come after the deletion', async () => {
    whim = (request) => (request.startsWith('PUT') ? 'is late' : undefined);
    keeper.stand();
    await until(() => times('PUT leasecandidates') === 1);
    const withdrawn = keeper.withdraw();
    // Whatever is sent at once would be there before this.
    await fetch(`${server.url}/v1`);
    late();
    await withdrawn;
    expect([times('DELETE leasecandidates'), candidate]).toEqual([1, undefined]);
  });

  it('is over in time whatever hangs, and the next one is, too, counted from its own beginning', async () => {
    keeper.stand();
    await until(() => times('watch') === 1);
    whim = () => 'hangs';
    const first = keeper.withdraw();
    keeper.stand();
    const second = keeper.withdraw();
    await until(() => times('DELETE leasecandidates') === 1);
    await clock.ring(WITHDRAWAL_MS);
    await first;
    await clock.ring(WITHDRAWAL_MS);
    await second;
    expect(times('DELETE leasecandidates')).toBe(1);
  });
});
