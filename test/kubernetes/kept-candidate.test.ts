/** A candidate while its keeper stands and withdraws, with a clock set by hand and a scripted server. */
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

/** Requests that the server does not answer as usual, and what it does instead. */
type Whim = 'hangs' | 'fails' | 'is late' | 'ends' | undefined;

let server: ScriptedServer;
let connection: KubernetesConnection;
let keeper: LeaseCandidateKeeper;
let clock: HandClock;
let end: () => void;
/** The requests about the lease and the candidate, e.g. `PUT leasecandidates`. */
let asked: string[];
let whim: (request: string) => Whim;
let candidate: object | undefined;
/** Carries out the delayed requests. */
let late: () => void;
let wake: () => void = () => undefined;
/** The events that a watch sends before it ends. */
let event: (() => string) | undefined;
/** How often the keeper called `changed`: when it found candidates, and when its own was watched. */
let told: number;

/** An API server with at most one candidate, and no lease. */
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

/** Resolves when the condition holds; it is checked after each event. */
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
  it('is written and watched again every minute, because a silent watch may be dead', async () => {
    keeper.stand();
    await until(() => told === 2);
    await clock.ring(REFRESH_MS);
    await until(() => times('watch') === 2);
    expect(times('PUT leasecandidates')).toBe(2);
  });

  it('has no problem any more once it was written and is watched', async () => {
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
  /** Until all requests that follow at once from the answers have been sent. */
  const afterAWhile = async (): Promise<void> => {
    for (let turns = 0; turns < 20; turns++) await fetch(`${server.url}/v1`);
  };
  const tells = (type: string, times: object = {}): string => {
    const { metadata, spec } = candidate as { metadata: object; spec: object };
    return `${JSON.stringify({ type, object: { metadata, spec: { ...spec, ...times } } })}\n`;
  };

  it('that ends as soon as it has opened is opened once more, then once every retryPeriod, without writes', async () => {
    whim = (request) => (request === 'watch' ? 'ends' : undefined);
    keeper.stand();
    await clock.ring(0);
    await until(() => times('watch') === 2);
    await afterAWhile();
    expect([times('watch'), times('PUT leasecandidates'), times('GET leases')]).toEqual([2, 1, 1]);
  });

  it('that keeps reporting the candidate as gone makes it be created once more, then once every retryPeriod', async () => {
    whim = (request) => (request === 'watch' ? 'ends' : undefined);
    event = () => tells('DELETED').repeat(50);
    keeper.stand();
    await until(() => times('PUT leasecandidates') === 2);
    await afterAWhile();
    expect(times('PUT leasecandidates')).toBe(2);
  });

  it('that keeps showing an answered ping makes it be answered once more, then once every retryPeriod', async () => {
    whim = (request) => (request === 'watch' ? 'ends' : undefined);
    event = () => tells('MODIFIED', { pingTime: '2030-01-01T00:00:00.000000Z' }).repeat(50);
    keeper.stand();
    await until(() => times('PUT leasecandidates') === 2);
    const { metadata, spec } = candidate as { metadata: object; spec: { renewTime: string } };
    expect(spec.renewTime).toBe('2030-01-01T00:00:00.000000Z');
    // A webhook reverts the answer.
    candidate = { metadata, spec: { ...spec, renewTime: '2020-01-01T00:00:00.000000Z' } };
    await afterAWhile();
    expect(times('PUT leasecandidates')).toBe(2);
  });

  it('that is denied makes the candidate be written once every retryPeriod, and is reported', async () => {
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
  it('tries once more to delete the candidate, and reports what failed', async () => {
    keeper.stand();
    await until(() => times('watch') === 1);
    whim = (request) => (request.startsWith('DELETE') && times(request) === 1 ? 'fails' : undefined);
    await keeper.withdraw();
    expect([times('DELETE leasecandidates'), candidate]).toEqual([2, undefined]);
    expect(keeper.objection?.code).toBe('LEADER_FORBIDDEN');
  });

  it('comes first: a candidate that stands again is written only after it', async () => {
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

  it('waits for a creation, which might otherwise be carried out after the deletion', async () => {
    whim = (request) => (request.startsWith('PUT') ? 'is late' : undefined);
    keeper.stand();
    await until(() => times('PUT leasecandidates') === 1);
    const withdrawn = keeper.withdraw();
    // A request that is sent at once would arrive before this one.
    await fetch(`${server.url}/v1`);
    late();
    await withdrawn;
    expect([times('DELETE leasecandidates'), candidate]).toEqual([1, undefined]);
  });

  it('ends in time whatever hangs, and so does the next one, counted from its own start', async () => {
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
