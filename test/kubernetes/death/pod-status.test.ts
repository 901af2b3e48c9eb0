/** The watches by which a process learns of another's death, and of the id of its own container, with a scripted server. */
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { afterEach, describe, expect, it } from 'vitest';
import { isLeaderError, processOf, type LeaderError } from '../../../lib/election/internal.js';
import { PodStatus, type PodStatusParts } from '../../../lib/kubernetes/death/pod-status.js';
import { KubernetesConnection } from '../../../lib/kubernetes/index.js';
import { HandClock } from '../hand-clock.js';
import { ScriptedServer, answer, type SeenRequest } from '../scripted-server.js';
import { holder, holderText, killed, podOf, running, statusOf } from './pod-fixtures.js';

/** The pause after a watch that was denied, one that failed, and how long the own container is searched for. */
const [DENIED, RETRY, SEARCH] = [60_000, 2_000, 60_000];

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
  (...states: readonly object[]): Reply =>
  (response, request) => {
    opens(response, request);
    for (const state of states) response.write(event(state));
  };

const event = (object: object, type = 'MODIFIED'): string => `${JSON.stringify({ type, object })}\n`;

/** A server that answers each watch as `reply` says at that time. */
class Cluster {
  reply: Reply;
  readonly streams: ServerResponse[] = [];
  readonly clock = new HandClock();
  readonly told: LeaderError[] = [];
  readonly server: ScriptedServer;
  readonly connection: KubernetesConnection;
  #heard: () => void = () => undefined;

  private constructor(start: (cluster: () => Cluster) => ScriptedServer, reply: Reply) {
    this.reply = reply;
    this.server = start(() => this);
    this.connection = new KubernetesConnection({ server: this.server.url });
  }

  static async start(reply: Reply): Promise<Cluster> {
    let cluster: Cluster | undefined;
    const server = await ScriptedServer.start((request, response) => {
      cluster?.streams.push(response);
      cluster?.reply(response, request);
    });
    cluster = new Cluster(() => server, reply);
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

  get pods(): string[] {
    return this.server.requests.map(({ url }) => {
      const { pathname, searchParams } = new URL(url, this.server.url);
      return `${pathname} ${String(searchParams.get('fieldSelector'))}`;
    });
  }

  /** Sends an event on the newest stream. */
  show(object: object, type?: string): void {
    this.streams.at(-1)?.write(event(object, type));
  }

  /** Resolves when no stream is open any more. */
  async released(): Promise<void> {
    for (const { socket } of this.streams) if (socket?.destroyed === false) await once(socket, 'close');
  }
}

const closing: Cluster[] = [];

afterEach(async () => {
  for (const { connection, server } of closing.splice(0)) {
    connection.close();
    await server.stop();
  }
});

/** Follows the holder; `gone` resolves when it is proven dead. */
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

describe('following a holder', () => {
  it('watches its one pod, and finds it dead when the status says so', async () => {
    const cluster = await Cluster.start(shows(alive));
    const { gone, calls } = following(cluster.podStatus());
    await cluster.server.arrived(1);
    expect(cluster.pods).toEqual(['/api/v1/namespaces/shop/pods metadata.name=billing-1']);
    expect(calls()).toBe(0);
    cluster.show(dead);
    await gone;
    await cluster.released();
    expect(calls()).toBe(1);
    expect(cluster.clock.delays).toEqual([]);
  });

  it('the state in which the watch begins counts', async () => {
    const cluster = await Cluster.start(shows(dead));
    await following(cluster.podStatus()).gone;
    await cluster.released();
  });

  it('the container is dead, too, when another instance runs: the status has the end in lastState', async () => {
    const restarted = statusOf(
      { running: { startedAt: '2026-01-01T11:00:12Z' } },
      { containerID: 'containerd://c2', lastState: { terminated: killed } },
    );
    const cluster = await Cluster.start(shows(podOf([restarted])));
    await following(cluster.podStatus()).gone;
  });

  it('the last state of a pod that was deleted is evidence; that it was deleted is not', async () => {
    const cluster = await Cluster.start(shows(alive));
    const { gone, calls } = following(cluster.podStatus());
    await cluster.server.arrived(1);
    cluster.show(podOf([statusOf(running)], { metadata: { resourceVersion: '9' } }), 'DELETED');
    cluster.show(podOf([statusOf(running)], { metadata: { uid: 'u9', resourceVersion: '10' } }), 'ADDED');
    cluster.streams.at(-1)?.end();
    // The next watch begins with the pod as it was deleted: that can only be the pod itself.
    cluster.reply = (response, request) => {
      expect(calls()).toBe(0);
      opens(response, request);
      response.write(event(dead, 'DELETED'));
    };
    await cluster.clock.ring(RETRY);
    await gone;
  });

  it('a watch that ends is opened again, and so is one that breaks', async () => {
    const cluster = await Cluster.start(shows(alive));
    const { gone, calls } = following(cluster.podStatus());
    await cluster.server.arrived(1);
    cluster.clock.pass(10_000);
    cluster.streams.at(-1)?.end();
    // It lasted for longer than the pause, so there is none.
    await cluster.clock.ring(0);
    await cluster.server.arrived(2);
    cluster.streams.at(-1)?.destroy();
    cluster.reply = shows(dead);
    await cluster.clock.ring(RETRY);
    expect(calls()).toBe(0);
    await gone;
    await cluster.released();
  });

  it('an earlier instance of the own container is dead at once, without a request', async () => {
    const cluster = await Cluster.start(opens);
    const podStatus = cluster.podStatus({ own: { ...holder, instance: { boot: 'b1', start: 9_000 } } });
    expect(following(podStatus).calls()).toBe(1);
    expect(cluster.server.requests).toEqual([]);
    expect(cluster.clock.delays).toEqual([]);
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
    ['a pod of this name with another uid', podOf([statusOf({ terminated: killed })], { metadata: { uid: 'u9' } })],
    ['the end of another container', podOf([statusOf({ terminated: { ...killed, containerID: 'containerd://c0' } })])],
    ['an end before the holder started', podOf([statusOf({ terminated: { ...killed, finishedAt: '2026-01-01T10:00:05Z' } })])],
    ['an end without a time', podOf([statusOf({ terminated: { ...killed, finishedAt: null } })])],
    ['an end without an id', podOf([statusOf({ terminated: { exitCode: 137, reason: 'Error', finishedAt: killed.finishedAt ?? null } })])],
    ['exit code 255 with reason Unknown', podOf([statusOf({ terminated: { ...killed, exitCode: 255, reason: 'Unknown' } })])],
    ['ContainerStatusUnknown', podOf([statusOf({ terminated: { ...killed, reason: 'ContainerStatusUnknown' } })])],
    ['a deletion timestamp', podOf([statusOf(running)], { metadata: { deletionTimestamp: '2026-01-01T11:00:00Z' } })],
    ['phase Failed alone', podOf([statusOf(running)], { status: { phase: 'Failed', reason: 'Evicted' } })],
    ['phase Succeeded without statuses', podOf([], { status: { phase: 'Succeeded' } })],
    ['phase Unknown', podOf([statusOf(running)], { status: { phase: 'Unknown', reason: 'NodeLost' } })],
    ['a node that is not ready', podOf([statusOf(running)], { status: { conditions: [{ type: 'Ready', status: 'False' }, { type: 'DisruptionTarget', status: 'True' }] } })],
    ['no status at all', podOf([], { status: { containerStatuses: null } })],
  ])('nothing is proven by %s', async (_, state) => {
    const cluster = await Cluster.start(shows(state, dead));
    let seen = 0;
    const podStatus = cluster.podStatus();
    const { calls, gone } = following(podStatus);
    // The next state proves it. So the state before has been looked at when this is called, and proved nothing.
    podStatus.follow(holderText.replace('containerd://c1', 'containerd://c0'), () => (seen += 1));
    await gone;
    expect([calls(), seen <= 1]).toEqual([1, true]);
  });
});
