/** The watches by which a process learns of another's death, and of the id of its own container, with a scripted server. */
import type { ServerResponse } from 'node:http';
import { afterEach, describe, expect, it } from 'vitest';
import { textOf, type LeaderError } from '../../../lib/election/internal.js';
import { PodStatus, type PodStatusParts } from '../../../lib/kubernetes/death/pod-status.js';
import { ownSignOfLife } from '../../../lib/kubernetes/death/sign-of-life.js';
import { KubernetesConnection } from '../../../lib/kubernetes/index.js';
import { HandClock } from '../hand-clock.js';
import { ScriptedServer, answer, type SeenRequest } from '../scripted-server.js';
import { holder, holderText, killed, podOf, running, statusOf } from './pod-fixtures.js';

/** The pause after a watch that was denied, one that failed, and how long the own container is searched for. */
const [DENIED, RETRY, SEARCH] = [60_000, 2_000, 30_000];

const dead = podOf([statusOf({ terminated: killed })]);
const alive = podOf([statusOf(running)]);
/** This process runs in another pod. */
const own = { ...holder, podUid: 'u2', pod: 'shop/billing-2', containerId: undefined };

type Reply = (response: ServerResponse, request: SeenRequest) => void;

const opens: Reply = (response) => {
  response.writeHead(200, { 'content-type': 'application/json' }).flushHeaders();
};
const refuses =
  (status: number, body: object = {}): Reply =>
  (response) => {
    answer(response, status, body);
  };
const forbids = refuses(403, { kind: 'Status', reason: 'Forbidden' });
const shows =
  (state: object): Reply =>
  (response, request) => {
    opens(response, request);
    response.write(event(state, 'ADDED'));
  };

const event = (object: object, type = 'MODIFIED'): string => `${JSON.stringify({ type, object })}\n`;

/** A server that answers each watch as `reply` says at that time, and what a process learns from it. */
class Cluster {
  reply: Reply;
  readonly streams: ServerResponse[] = [];
  readonly clock = new HandClock();
  readonly told: LeaderError[] = [];
  readonly connection: KubernetesConnection;
  readonly server: ScriptedServer;
  #heard: () => void = () => undefined;

  private constructor(server: ScriptedServer, reply: Reply) {
    this.server = server;
    this.connection = new KubernetesConnection({ server: server.url });
    this.reply = reply;
  }

  static async start(reply: Reply): Promise<Cluster> {
    const started: Cluster[] = [];
    const server = await ScriptedServer.start((request, response) => {
      for (const cluster of started) {
        // The client may end a watch at any time.
        cluster.streams.push(response.on('error', () => undefined));
        cluster.reply(response, request);
      }
    });
    const cluster = new Cluster(server, reply);
    started.push(cluster);
    closing.push(cluster);
    return cluster;
  }

  podStatus(parts: Partial<PodStatusParts> = {}): PodStatus {
    const { connection, clock } = this;
    return new PodStatus({ connection, clock, own, ...parts });
  }

  readonly report = (error: LeaderError): void => {
    this.told.push(error);
    this.#heard();
  };

  async reported(count: number): Promise<void> {
    while (this.told.length < count)
      await new Promise<void>((resolve) => {
        this.#heard = resolve;
      });
  }

  /** Lets this time pass as soon as a timer of this length is set, and fires it. */
  async elapses(ms: number): Promise<void> {
    // That is too early, so it is set again.
    if (ms > 0) await this.clock.ring(ms);
    this.clock.pass(ms);
    await this.clock.ring(ms);
  }

  /** What was asked: the path and the selector. */
  get asked(): string[] {
    return this.server.requests.map(({ url }) => {
      const { pathname, searchParams } = new URL(url, this.server.url);
      return `${pathname} ${String(searchParams.get('fieldSelector'))}`;
    });
  }

  /** Sends an event on the newest stream. */
  show(object: object, type?: string): void {
    this.streams.at(-1)?.write(event(object, type));
  }

  /** Resolves when this many watches have ended at the client's side. */
  async released(count: number): Promise<void> {
    for (const { socket } of this.streams.slice(0, count))
      if (socket?.destroyed === false) await new Promise((resolve) => socket.once('close', resolve));
  }
}

const closing: Cluster[] = [];

afterEach(async () => {
  for (const { connection, server } of closing.splice(0)) {
    connection.close();
    await server.stop();
  }
});

/** Follows a holder; `gone` resolves when it is proven dead. */
function following(
  podStatus: PodStatus,
  process = holderText,
): { readonly gone: Promise<void>; readonly calls: () => number; readonly leave: () => void } {
  let calls = 0;
  let leave = (): void => undefined;
  const gone = new Promise<void>((resolve) => {
    leave = podStatus.follow(process, () => {
      calls += 1;
      resolve();
    });
  });
  return { gone, calls: () => calls, leave };
}

/** Resolves when the condition holds. The test's time-out is the only bound. */
async function holds(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

/** Another container of the pod, by whose end a test knows that all earlier states have been looked at. */
const barrier = textOf({ ...holder, container: 'barrier' });
const barrierFalls = podOf([statusOf(running), { ...statusOf({ terminated: killed }), name: 'barrier' }]);

describe('following a holder', () => {
  it('watches its one pod, and finds it dead when the status says so, however often', async () => {
    const cluster = await Cluster.start(shows(alive));
    const podStatus = cluster.podStatus();
    const { gone, calls } = following(podStatus);
    const end = following(podStatus, barrier);
    await cluster.server.arrived(1);
    expect(cluster.asked).toEqual(['/api/v1/namespaces/shop/pods metadata.name=billing-1']);
    expect(calls()).toBe(0);
    for (const state of [dead, dead, barrierFalls]) cluster.show(state);
    await gone;
    await end.gone;
    await cluster.released(1);
    expect([calls(), cluster.clock.delays]).toEqual([1, []]);
  });

  it('the state in which the watch begins counts', async () => {
    const cluster = await Cluster.start(shows(dead));
    await following(cluster.podStatus()).gone;
    await cluster.released(1);
  });

  it('the container is dead, too, when its next instance runs: its end is in lastState', async () => {
    const restarted = statusOf(
      { running: { startedAt: '2026-01-01T11:00:12Z' } },
      { containerID: 'containerd://c2', lastState: { terminated: killed } },
    );
    const cluster = await Cluster.start(shows(podOf([restarted])));
    await following(cluster.podStatus()).gone;
  });

  it.each(['Failed', 'Succeeded'])(
    'a pod that is %s with all containers terminated: also a holder is dead that never learned its id',
    async (phase) => {
      const sidecar = {
        ...statusOf({ terminated: { ...killed, containerID: 'containerd://c5' } }),
        name: 'sidecar',
      };
      const ended = podOf([statusOf({ terminated: killed }), sidecar], { status: { phase } });
      const cluster = await Cluster.start(shows(ended));
      await following(cluster.podStatus(), textOf({ ...holder, containerId: undefined })).gone;
    },
  );

  it('the state in which a pod was deleted is evidence like any other', async () => {
    const cluster = await Cluster.start(shows(alive));
    const { gone } = following(cluster.podStatus());
    await cluster.server.arrived(1);
    cluster.show(dead, 'DELETED');
    await gone;
  });

  it('a watch that ends is opened again at once, and after a pause if that does not last', async () => {
    const cluster = await Cluster.start(shows(alive));
    const { gone, calls } = following(cluster.podStatus());
    await cluster.server.arrived(1);
    cluster.streams.at(-1)?.end();
    await cluster.elapses(0);
    await cluster.server.arrived(2);
    cluster.reply = shows(dead);
    cluster.streams.at(-1)?.destroy();
    await cluster.elapses(RETRY);
    expect(calls()).toBe(0);
    await gone;
    await cluster.released(3);
    expect(cluster.clock.delays).toEqual([]);
  });

  it('an earlier instance of the own container is dead when the kernel says so, whatever its pod shows', async () => {
    const cluster = await Cluster.start(shows(alive));
    const { network = '' } = ownSignOfLife() ?? {};
    const sign = { network, name: 'nestjs-leader/nobody' };
    const podStatus = cluster.podStatus({ own: { ...holder, sign, instance: { boot: 'b1', start: 9_000 } } });
    await following(podStatus, textOf({ ...holder, sign })).gone;
  });

  it('all who follow one pod share one watch, which ends with the last of them', async () => {
    const cluster = await Cluster.start(shows(alive));
    const podStatus = cluster.podStatus();
    const all = Array.from({ length: 1_000 }, () => following(podStatus));
    await cluster.server.arrived(1);
    for (const { leave } of all.slice(1)) leave();
    cluster.show(dead);
    await all[0]?.gone;
    await cluster.released(1);
    expect(all.filter(({ calls }) => calls() > 0)).toHaveLength(1);
    expect(cluster.asked).toHaveLength(1);
    // The next to follow it opens another.
    const { leave } = following(podStatus);
    await cluster.server.arrived(2);
    leave();
    await cluster.released(2);
    expect(cluster.clock.delays).toEqual([]);
  });

  it('who follows a pod that is watched already learns at once what was seen', async () => {
    const cluster = await Cluster.start(shows(dead));
    const podStatus = cluster.podStatus();
    // Its container is not in the status, so the watch stays.
    const other = following(podStatus, textOf({ ...holder, container: 'other' }));
    await following(podStatus).gone;
    const late = following(podStatus);
    expect([late.calls(), cluster.asked.length]).toEqual([1, 1]);
    late.leave();
    other.leave();
    await cluster.released(1);
  });

  it.each([
    ['other text', 'alive and well'],
    ['no pod', holderText.replace(/pod=[^;]*;/, '')],
    ['a pod without a namespace', holderText.replace('shop/', '')],
    ['a path', holderText.replace('shop/', '../nodes/')],
    ['a namespace that leads elsewhere', holderText.replace('shop/', '../')],
    ['a selector', holderText.replace('billing-1', 'billing-1,status.phase=Failed')],
  ])('nothing is asked, and nothing proven, by %s', async (_, process) => {
    const cluster = await Cluster.start(shows(dead));
    expect(process).not.toBe(holderText);
    const { calls } = following(cluster.podStatus(), process);
    expect(cluster.clock.delays).toEqual([]);
    expect(calls()).toBe(0);
  });

  it.each<[string, object]>([
    ['a running container', alive],
    [
      'a pod of this name with another uid',
      podOf([statusOf({ terminated: killed })], { metadata: { uid: 'u9' } }),
    ],
    [
      'the end of another container',
      podOf([statusOf({ terminated: { ...killed, containerID: 'containerd://c0' } })]),
    ],
    [
      'an end before the holder started',
      podOf([statusOf({ terminated: { ...killed, finishedAt: '2026-01-01T10:00:05Z' } })]),
    ],
    ['an end without a time', podOf([statusOf({ terminated: { ...killed, finishedAt: null } })])],
    [
      'an end without an id',
      podOf([
        statusOf({ terminated: { exitCode: 137, reason: 'Error', finishedAt: killed.finishedAt ?? null } }),
      ]),
    ],
    [
      'exit code 255 with reason Unknown',
      podOf([statusOf({ terminated: { ...killed, exitCode: 255, reason: 'Unknown' } })]),
    ],
    [
      'ContainerStatusUnknown',
      podOf([statusOf({ terminated: { ...killed, reason: 'ContainerStatusUnknown' } })]),
    ],
    [
      'a deletion timestamp',
      podOf([statusOf(running)], { metadata: { deletionTimestamp: '2026-01-01T11:00:00Z' } }),
    ],
    ['phase Failed alone', podOf([statusOf(running)], { status: { phase: 'Failed', reason: 'Evicted' } })],
    ['phase Succeeded without statuses', podOf([], { status: { phase: 'Succeeded' } })],
    ['phase Unknown', podOf([statusOf(running)], { status: { phase: 'Unknown', reason: 'NodeLost' } })],
    [
      'phase Unknown, with the end of another container',
      podOf([statusOf({ terminated: { ...killed, containerID: 'containerd://c0' } })], {
        status: { phase: 'Unknown', reason: 'NodeLost' },
      }),
    ],
    [
      'a node that is not ready',
      podOf([statusOf(running)], {
        status: {
          conditions: [
            { type: 'Ready', status: 'False' },
            { type: 'DisruptionTarget', status: 'True' },
          ],
        },
      }),
    ],
    ['no status at all', podOf([], { status: { containerStatuses: null } })],
  ])('nothing is proven by %s', async (_, state) => {
    const cluster = await Cluster.start((response, request) => {
      opens(response, request);
      for (const type of ['ADDED', 'MODIFIED', 'DELETED']) response.write(event(state, type));
      response.write(event(barrierFalls, 'ADDED'));
    });
    const podStatus = cluster.podStatus();
    const { calls, leave } = following(podStatus);
    await following(podStatus, barrier).gone;
    expect(calls()).toBe(0);
    leave();
    await cluster.released(1);
  });
});

describe('without a watch', () => {
  it('a missing permission is reported once with the rule that grants it, and again after a watch has opened', async () => {
    const cluster = await Cluster.start(forbids);
    const podStatus = cluster.podStatus({ own: { ...own, pod: holder.pod } });
    podStatus.attendant().start(cluster.report);
    podStatus.attendant().start(cluster.report);
    const { calls } = following(podStatus);
    await cluster.reported(1);
    expect(cluster.told).toMatchObject([
      {
        code: 'LEADER_POD_STATUS_FAILED',
        cause: { code: 'LEADER_FORBIDDEN' },
        message: expect.stringMatching(
          /pod 'shop\/billing-1' cannot be watched: .*namespace 'shop'.*\n {2}- apiGroups: \[""\]\n {4}resources: \["pods"\]\n {4}verbs: \["watch"\] .*waited out/s,
        ) as string,
      },
    ]);
    // Neither again, nor for another pod of the namespace.
    await cluster.elapses(DENIED);
    await cluster.server.arrived(2);
    const { leave } = following(podStatus, holderText.replace('billing-1', 'billing-3'));
    await holds(() => cluster.clock.delays.filter((delay) => delay === DENIED).length === 2);
    leave();
    expect(cluster.told).toHaveLength(1);
    cluster.reply = opens;
    await cluster.elapses(DENIED);
    await cluster.server.arrived(4);
    cluster.reply = forbids;
    cluster.streams.at(-1)?.end();
    await cluster.elapses(RETRY);
    await cluster.reported(2);
    expect(calls()).toBe(0);
  });

  it.each([
    ['fails', refuses(500), 'LEADER_SERVER_ERROR'],
    ['is refused for bad credentials', refuses(401), 'LEADER_UNAUTHORIZED'],
    ['is not understood by the server', refuses(404), 'LEADER_SERVER_ERROR'],
  ])('a watch that %s is reported once, and tried again after a pause', async (_, reply, code) => {
    const cluster = await Cluster.start(reply);
    const podStatus = cluster.podStatus({ own: { ...own, pod: holder.pod } });
    podStatus.attendant().start(cluster.report);
    const { gone } = following(podStatus);
    await cluster.reported(1);
    const tried = cluster.asked.length;
    await cluster.elapses(RETRY);
    await cluster.server.arrived(tried + 1);
    cluster.reply = shows(dead);
    await cluster.elapses(RETRY);
    await gone;
    expect(cluster.told).toMatchObject([{ code: 'LEADER_POD_STATUS_FAILED', cause: { code } }]);
  });
});

describe('the own container', () => {
  const text = (rest: object = {}): string => textOf({ ...own, startedOn: holder.startedOn, ...rest });
  const ownPod = (...statuses: readonly object[]): object =>
    podOf(statuses, { metadata: { name: 'billing-2', uid: 'u2' } });

  /** Resolves when the text is no longer the same. */
  async function learned(podStatus: PodStatus): Promise<string | undefined> {
    const before = podStatus.self;
    await holds(() => podStatus.self !== before);
    return podStatus.self;
  }

  it('its id is learned from the status of the own pod, and noted from then on; the watch ends', async () => {
    const cluster = await Cluster.start(shows(ownPod(statusOf(running))));
    const podStatus = cluster.podStatus();
    expect([podStatus.self, cluster.asked]).toEqual([text(), []]);
    const attendants = [podStatus.attendant(), podStatus.attendant()];
    for (const attendant of attendants) attendant.start(cluster.report);
    expect(await learned(podStatus)).toBe(text({ containerId: 'containerd://c1' }));
    await cluster.released(1);
    expect(cluster.clock.delays).toEqual([]);
    expect(cluster.asked).toEqual(['/api/v1/namespaces/shop/pods metadata.name=billing-2']);
    for (const attendant of attendants) void attendant.stop();
    // An election that starts later does not search again.
    podStatus.attendant().start(cluster.report);
    expect([cluster.asked.length, cluster.clock.delays, cluster.told]).toEqual([1, [], []]);
  });

  it('the status may still show the instance before, or nothing, or another pod: the id is learned when it shows this one', async () => {
    const before = { running: { startedAt: '2026-01-01T09:59:00Z' } };
    const cluster = await Cluster.start((response, request) => {
      opens(response, request);
      const states = [
        podOf([statusOf(running, { containerID: 'containerd://c9' })], {
          metadata: { name: 'billing-2', uid: 'u9' },
        }),
        ownPod(),
        ownPod(statusOf(before, { containerID: 'containerd://c0' })),
        ownPod(statusOf({ waiting: { reason: 'CrashLoopBackOff' } }, { containerID: 'containerd://c0' })),
        ownPod(statusOf(before, { containerID: 'containerd://c0' })),
        ownPod(statusOf(running)),
      ];
      response.write(event(states[0] ?? {}, 'ADDED') + event(states[0] ?? {}, 'DELETED'));
      for (const state of states.slice(1)) response.write(event(state));
    });
    const podStatus = cluster.podStatus();
    podStatus.attendant().start(cluster.report);
    expect(await learned(podStatus)).toBe(text({ containerId: 'containerd://c1' }));
    expect(cluster.told).toEqual([]);
  });

  it('if the status does not show it in time, that is reported; the search goes on', async () => {
    const cluster = await Cluster.start(opens);
    const podStatus = cluster.podStatus();
    podStatus.attendant().start(cluster.report);
    await cluster.server.arrived(1);
    await cluster.clock.ring(SEARCH);
    expect(cluster.told).toMatchObject([
      { code: 'LEADER_POD_STATUS_FAILED', message: expect.stringContaining('shop/billing-2') as string },
    ]);
    cluster.show(ownPod(statusOf(running)));
    expect(await learned(podStatus)).toContain('containerId=containerd://c1');
  });

  it('a search ends with the last election, and begins again with the next', async () => {
    const cluster = await Cluster.start(opens);
    const podStatus = cluster.podStatus();
    const [one, two] = [podStatus.attendant(), podStatus.attendant()];
    one.start(cluster.report);
    two.start(cluster.report);
    await cluster.server.arrived(1);
    void one.stop();
    expect(cluster.clock.delays).toContain(SEARCH);
    void two.stop();
    await cluster.released(1);
    expect(cluster.clock.delays).toEqual([]);
    one.start(cluster.report);
    await cluster.server.arrived(2);
    void one.stop();
    await cluster.released(2);
    expect([cluster.clock.delays, cluster.told]).toEqual([[], []]);
  });

  const WHICH = 'the uid of its pod or the name of its container (in the manifest set POD_UID';
  const WHERE = 'the name or the namespace of its pod (set POD_NAME and POD_NAMESPACE';
  const WHEN = 'when its container started (/proc/1/stat';
  it.each([
    ['which container it is', undefined, [WHICH], [WHERE, WHEN]],
    ['the name of its pod', { ...own, pod: undefined }, [WHERE], [WHICH, WHEN]],
    ['its start', { ...own, startedOn: undefined }, [WHEN], [WHICH, WHERE]],
    ['two of them', { ...own, pod: undefined, startedOn: undefined }, [WHERE, WHEN], [WHICH]],
  ])(
    'a process that does not know %s says so once, and still follows others',
    async (_, known, missing, others) => {
      const cluster = await Cluster.start(shows(dead));
      const podStatus = cluster.podStatus({ own: known });
      podStatus.attendant().start(cluster.report);
      podStatus.attendant().start(cluster.report);
      expect(cluster.told).toMatchObject([{ code: 'LEADER_POD_STATUS_FAILED' }]);
      const [{ message } = { message: '' }] = cluster.told;
      for (const fact of missing) expect(message).toContain(fact);
      for (const fact of others) expect(message).not.toContain(fact);
      expect(message).toContain('has been killed (SIGKILL, out of memory)');
      expect(cluster.asked).toEqual([]);
      await following(podStatus).gone;
    },
  );
});
