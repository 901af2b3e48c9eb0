/** Whether the API server has LeaseCandidates, as its answers change. */
import { afterEach, expect, it } from 'vitest';
import {
  KubernetesConnection,
  KubernetesLeaseLock,
  LeaseCandidateKeeper,
} from '../../lib/kubernetes/index.js';
import { HandClock } from './hand-clock.js';
import { ScriptedServer, type SeenRequest } from './scripted-server.js';

type Answer = readonly [status: number, body: object];

const noSuchResource: Answer = [404, { kind: 'Status', reason: 'NotFound', details: {}, code: 404 }];
const absent = (kind: string): Answer => [
  404,
  { kind: 'Status', reason: 'NotFound', details: { kind }, code: 404 },
];

/** Serves discovery and the lease, and candidates only while `serves` says so. */
function answer({ url }: SeenRequest, serves: string | undefined): Answer {
  if (url.endsWith('/v1')) return [200, { resources: [{ name: 'leases' }] }];
  if (url.endsWith(`/${String(serves)}`)) return [200, { resources: [{ name: 'leasecandidates' }] }];
  if (url.includes('/leases/')) return absent('leases');
  return noSuchResource;
}

const ends: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});

async function keeperOf(
  script: (request: SeenRequest) => Answer,
  clock?: HandClock,
): Promise<{
  keeper: LeaseCandidateKeeper;
  server: ScriptedServer;
  until: (condition: () => boolean) => Promise<void>;
}> {
  const server = await ScriptedServer.start((request, response) => {
    const [status, body] = script(request);
    response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
  });
  const connection = new KubernetesConnection({ server: server.url });
  const lease = { name: 'x', namespace: 'default', labels: {} };
  const keeper = new LeaseCandidateKeeper({
    connection,
    lock: new KubernetesLeaseLock(connection, lease),
    lease,
    identity: 'me',
    spec: { binaryVersion: '1.0.0', emulationVersion: '1.0.0', strategy: 'OldestEmulationVersion' },
    retryPeriod: 5,
    longestWithdrawal: 2_000,
    ...(clock && { clock }),
  });
  let wake: () => void = () => undefined;
  const stop = keeper.observe(() => {
    wake();
  });
  ends.push(async () => {
    stop();
    await keeper.withdraw();
    connection.close();
    await server.stop();
  });
  const until = async (condition: () => boolean): Promise<void> => {
    while (!condition()) await new Promise<void>((resolve) => (wake = resolve));
  };
  return { keeper, server, until };
}

it.each(['v1beta1', 'v1alpha2'])('finds candidates in %s', async (version) => {
  const { keeper, server, until } = await keeperOf((request) => answer(request, version));
  expect(keeper.elects).toBeUndefined();
  await until(() => keeper.elects === true);
  expect(keeper.objection).toBeUndefined();
  keeper.stand();
  await until(() => keeper.objection !== undefined);
  const path = `/apis/coordination.k8s.io/${version}/namespaces/default/leasecandidates/me`;
  expect(server.requests.map(({ url }) => url)).toContain(path);
});

it('asks again until it is answered, and reports meanwhile what is wrong', async () => {
  let asked = 0;
  const { keeper, until } = await keeperOf((request) => {
    asked += 1;
    return asked < 3 ? [503, {}] : answer(request, 'v1beta1');
  });
  await until(() => keeper.objection !== undefined);
  expect([keeper.elects, keeper.objection?.code]).toEqual([undefined, 'LEADER_SERVER_ERROR']);
  await until(() => keeper.elects === true);
  expect(keeper.objection).toBeUndefined();
});

it('finds out when candidates are no longer served; then the API server does not elect', async () => {
  let serves: string | undefined = 'v1beta1';
  const { keeper, until } = await keeperOf((request) => answer(request, serves));
  await until(() => keeper.elects === true);
  serves = undefined;
  keeper.stand();
  await until(() => keeper.elects === false);
  expect(keeper.objection?.code).toBe('LEADER_NOT_COORDINATED');
  await keeper.withdraw();
  expect(keeper.objection?.code).toBe('LEADER_NOT_COORDINATED');
});

it('asks from time to time whether candidates are served now, and does not report failures to ask', async () => {
  const clock = new HandClock();
  let asked = 0;
  const objections = new Set<string | undefined>();
  const { keeper, until } = await keeperOf((request) => {
    if (request.url.endsWith('/v1')) asked += 1;
    if (asked > 1 && asked < 4) objections.add(keeper.objection?.code);
    // No candidates twice, no answer, then candidates.
    return asked === 3 ? [503, {}] : answer(request, asked === 4 ? 'v1beta1' : undefined);
  }, clock);
  await until(() => keeper.elects === false);
  for (const _ of ['none', 'no answer', 'some']) await clock.ring(300_000);
  await until(() => keeper.elects === true);
  expect([...objections, keeper.objection]).toEqual(['LEADER_NOT_COORDINATED', undefined]);
});

it('moves to another version of the API when its own is no longer served', async () => {
  let serves = 'v1alpha2';
  const { keeper, server, until } = await keeperOf((request) => answer(request, serves));
  await until(() => keeper.elects === true);
  serves = 'v1beta1';
  keeper.stand();
  const moved = (): boolean => server.requests.some(({ url }) => url.includes('v1beta1/namespaces'));
  await until(() => {
    keeper.stand();
    return moved();
  });
  expect(keeper.elects).toBe(true);
});
