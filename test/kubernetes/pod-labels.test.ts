/** The labels of the leader's Pod, with a scripted server. */
import type { ServerResponse } from 'node:http';
import { afterEach, expect, it } from 'vitest';
import type { LeaderError, LeadershipTerm } from '../../lib/election/index.js';
import { KubernetesConnection } from '../../lib/kubernetes/index.js';
import { PodLabels } from '../../lib/kubernetes/pod-labels.js';
import { HandClock } from './hand-clock.js';
import { ScriptedServer, answer, type SeenRequest } from './scripted-server.js';

type Reply = (response: ServerResponse) => void;

const ok: Reply = (response) => {
  answer(response, 200, { kind: 'Pod' });
};
const fails: Reply = (response) => {
  answer(response, 500, {});
};
const forbids: Reply = (response) => {
  answer(response, 403, { reason: 'Forbidden' });
};
const missing: Reply = (response) => {
  answer(response, 404, { reason: 'NotFound', details: { kind: 'pods' } });
};
const hangs: Reply = () => undefined;

/** An answer may take half a retryPeriod. The pause is a quarter of it while somebody waits, and this while nobody does. */
const [PATIENCE, PAUSE, BACKGROUND] = [1_000, 500, 10_000];

const term = {} as LeadershipTerm;
const closing: (() => Promise<void> | void)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

/** Labels on a Pod whose server gives these replies in order, and then repeats the last one. */
async function labelsWith(
  ...replies: Reply[]
): Promise<{ labels: PodLabels; server: ScriptedServer; clock: HandClock }> {
  const server = await ScriptedServer.start((_, response) => {
    const reply = replies.length > 1 ? replies.shift() : replies[0];
    reply?.(response);
  });
  const connection = new KubernetesConnection({ server: server.url, token: 'x' });
  const pod = { name: 'billing-1', namespace: 'shop' };
  const clock = new HandClock();
  const labels = new PodLabels({ connection, pod, labels: { role: 'leader' }, retryPeriod: 2_000, clock });
  closing.push(
    () => {
      labels.stop();
      connection.close();
    },
    () => server.stop(),
  );
  return { labels, server, clock };
}

/** The labels in each patch. */
function worn(requests: readonly SeenRequest[]): unknown[] {
  return requests.map(
    ({ body }) => (JSON.parse(body) as { metadata: { labels: { role: unknown } } }).metadata.labels.role,
  );
}

/** Adds the labels with a second patch, because the first was not answered. */
async function startedAfterOneHung(): ReturnType<typeof labelsWith> {
  const parts = await labelsWith(hangs, ok);
  const started = parts.labels.atStart(term, never());
  await parts.server.arrived(1);
  await parts.clock.ring(PATIENCE);
  await parts.clock.ring(PAUSE);
  await started;
  return parts;
}

const never = (): AbortSignal => new AbortController().signal;

it('labels that an earlier process of this Pod left are removed at start', async () => {
  const { labels, server } = await labelsWith(ok);
  labels.start(() => undefined);
  await server.arrived(1);
  expect(server.requests).toMatchObject([
    {
      method: 'PATCH',
      url: '/api/v1/namespaces/shop/pods/billing-1',
      headers: { 'content-type': 'application/merge-patch+json' },
      body: '{"metadata":{"labels":{"role":null}}}',
    },
  ]);
});

it('labels are added and removed by the time the calls resolve', async () => {
  const { labels, server } = await labelsWith(ok);
  await labels.atStart(term, never());
  expect(worn(server.requests)).toEqual(['leader']);
  await labels.atEnd(term, never());
  expect(worn(server.requests)).toEqual(['leader', null]);
});

it('labels stay while any term needs them: a slot that is given back does not remove them from another', async () => {
  const { labels, server } = await labelsWith(ok);
  const other = {} as LeadershipTerm;
  await labels.atStart(term, never());
  await labels.atStart(other, never());
  await labels.atEnd(other, never());
  expect(worn(server.requests)).toEqual(['leader']);
  await labels.atEnd(term, never());
  expect(worn(server.requests)).toEqual(['leader', null]);
});

it('a patch is retried while somebody waits: after a failure, and on a new connection if there was no answer', async () => {
  const { labels, server, clock } = await labelsWith(fails, hangs, ok);
  const started = labels.atStart(term, never());
  await clock.ring(PAUSE);
  await server.arrived(2);
  await clock.ring(PATIENCE);
  await clock.ring(PAUSE);
  await started;
  expect(worn(server.requests)).toEqual(['leader', 'leader', 'leader']);
  expect(server.requests[2]?.connection).not.toBe(server.requests[1]?.connection);
});

it.each([
  [
    'permission',
    forbids,
    /could not be added to pod 'shop\/billing-1'.*does not permit patch on pods 'billing-1'/,
  ],
  ['a Pod of that name', missing, /There is no pod 'shop\/billing-1' \(404\).*set POD_NAME/],
])('without %s the wait ends at once', async (_, reply, message) => {
  const { labels } = await labelsWith(reply);
  await expect(labels.atStart(term, never())).rejects.toMatchObject({
    code: 'LEADER_POD_LABEL_FAILED',
    message: expect.stringMatching(message),
  });
});

it('a wait ends with its signal, and rejects with the last failure', async () => {
  const { labels, clock, server } = await labelsWith(fails);
  const waiting = new AbortController();
  const started = labels.atStart(term, waiting.signal);
  await clock.ring(PAUSE);
  await server.arrived(2);
  waiting.abort();
  await expect(started).rejects.toMatchObject({
    code: 'LEADER_POD_LABEL_FAILED',
    cause: { code: 'LEADER_SERVER_ERROR' },
  });
});

it('a term that ends while its start still waits leaves the labels removed', async () => {
  const { labels, server, clock } = await labelsWith(hangs, ok);
  const waiting = new AbortController();
  const started = labels.atStart(term, waiting.signal);
  await server.arrived(1);
  waiting.abort(new Error('over'));
  await expect(started).rejects.toThrow('over');
  const ended = labels.atEnd(term, never());
  await clock.ring(PATIENCE);
  await clock.ring(PAUSE);
  await ended;
  expect(worn(server.requests)).toEqual(['leader', null]);
});

it('a failure while nobody waits is reported once, and the patch is retried', async () => {
  const { labels, server, clock } = await labelsWith(forbids);
  const told: LeaderError[] = [];
  await new Promise<void>((resolve) => {
    labels.start((error) => {
      told.push(error);
      resolve();
    });
  });
  await clock.ring(BACKGROUND);
  await server.arrived(2);
  await clock.ring(BACKGROUND);
  await server.arrived(3);
  expect(told).toMatchObject([{ code: 'LEADER_POD_LABEL_FAILED' }]);
});

it('a temporary failure while nobody waits is reported when it has occurred twice', async () => {
  const { labels, server, clock } = await labelsWith(fails, fails, fails);
  const told: LeaderError[] = [];
  labels.start((error) => told.push(error));
  await server.arrived(1);
  await clock.ring(BACKGROUND);
  expect(told).toEqual([]);
  await server.arrived(2);
  await clock.ring(BACKGROUND);
  expect(told).toMatchObject([{ code: 'LEADER_POD_LABEL_FAILED' }]);
  await server.arrived(3);
  await clock.ring(BACKGROUND);
  expect(told).toHaveLength(1);
});

it('a patch that is carried out late is corrected: the right labels are patched again after a pause', async () => {
  const { labels, server, clock } = await startedAfterOneHung();
  // Now the first patch may be carried out.
  await labels.atEnd(term, never());
  expect(worn(server.requests)).toEqual(['leader', 'leader', null]);
  await clock.ring(BACKGROUND);
  await server.arrived(4);
  expect(worn(server.requests).at(-1)).toBe(null);
});

it('a patch that was answered is not repeated', async () => {
  const { labels, server, clock } = await labelsWith(forbids, ok);
  const ended = labels.atEnd(term, never());
  await expect(ended).rejects.toMatchObject({ code: 'LEADER_POD_LABEL_FAILED' });
  await clock.ring(BACKGROUND);
  await server.arrived(2);
  await labels.atEnd(term, never());
  expect(clock.delays).toEqual([]);
});

it('no patch is repeated after the end', async () => {
  const { labels, clock } = await startedAfterOneHung();
  expect(clock.delays).toEqual([BACKGROUND]);
  labels.stop();
  expect(clock.delays).toEqual([]);
});

it('after the end nothing is sent, and no wait goes on', async () => {
  const { labels, server } = await labelsWith(hangs);
  const started = labels.atStart(term, never());
  await server.arrived(1);
  labels.stop();
  await started;
  await labels.atEnd(term, never());
  expect(server.requests).toHaveLength(1);
});
