/**
 * What a process learns from pods on the real API server, with statuses as a kubelet writes them. The end of a second container,
 * `barrier`, tells that all earlier states have been looked at.
 */
import { readFile } from 'node:fs/promises';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { processOf, textOf, type LeaderError } from '../../../lib/election/internal.js';
import { PodStatus } from '../../../lib/kubernetes/death/pod-status.js';
import { KubernetesConnection } from '../../../lib/kubernetes/index.js';
import { LeaderElectionModule, getLeaderToken, type LeaderService } from '../../../lib/index.js';
import { Gathering } from '../gathering.js';
import { RealApiServer } from '../../rig/real-api-server.js';
import { RigPod, newContainerId, time } from '../../rig/rig-pod.js';
import { findServers } from '../../rig/servers.js';

interface AuditEntry {
  readonly verb: string;
  readonly stage: string;
  readonly requestURI: string;
  readonly user: { readonly username: string };
  readonly objectRef?: { readonly resource: string };
}

const found = findServers();

if (!found.available) {
  describe('pods on the real API server', () => {
    it(`are not tested here: ${found.reason}`, () => {
      expect(found.reason).not.toBe('');
    });
  });
} else {
  describe('pods on the real API server', () => {
    let server: RealApiServer;
    let connection: KubernetesConnection;
    let count = 0;

    beforeAll(async () => {
      server = await RealApiServer.start({ users: ['replica', 'application'], auditLog: true });
    });
    afterEach(() => {
      connection.close();
    });
    afterAll(() => server.stop());

    const connect = (user = 'admin'): KubernetesConnection =>
      (connection = new KubernetesConnection({
        server: server.url,
        token: `${user}-token`,
        certificateAuthority: server.ca,
      }));

    const leases = '/apis/coordination.k8s.io/v1/namespaces/default/leases';

    /** A Lease whose holder has written this about its process. It lasts ten minutes. */
    const createLease = async (name: string, process: string): Promise<void> => {
      const renewTime = time(0).replace('Z', '.000000Z');
      const spec = { holderIdentity: 'gone', leaseDurationSeconds: 600, acquireTime: renewTime, renewTime };
      const annotations = { 'nestjs-leader/process': `${renewTime} gone ${process}` };
      await server.client.demand('POST', leases, { body: { metadata: { name, annotations }, spec } });
    };

    const noted = async (lease: string): Promise<string> => {
      const { json } = await server.client.demand('GET', `${leases}/${lease}`);
      const { annotations } = (json as { metadata: { annotations: Record<string, string> } }).metadata;
      return annotations['nestjs-leader/process'] ?? '';
    };

    /** The names of the pods that the application has watched, one for each watch. */
    const podsWatched = async (): Promise<string[]> => {
      const entries = (await readFile(server.auditLogPath, 'utf8')).trim().split('\n');
      return entries
        .map((line) => JSON.parse(line) as AuditEntry)
        .filter(({ verb, stage, user, objectRef }) => {
          const isOpening = verb === 'watch' && stage === 'ResponseStarted';
          return isOpening && user.username === 'application' && objectRef?.resource === 'pods';
        })
        .map(({ requestURI }) => new URL(requestURI, server.url).searchParams.get('fieldSelector'))
        .flatMap((selector) => selector?.replace('metadata.name=', '') ?? [])
        .sort();
    };

    /** Resolves when the user may do so. RBAC sees a Role a moment after it is stored, with all its rules at once. */
    const mayWatchPods = async (user: string): Promise<void> => {
      const path = '/api/v1/namespaces/default/pods?watch=true&timeoutSeconds=1';
      const token = `${user}-token`;
      while ((await server.client.request('GET', path, { token })).status !== 200);
    };

    const newPod = (name?: string): Promise<RigPod> => {
      count += 1;
      return RigPod.create(server, name ?? `pod-${String(count)}`, { containers: ['app', 'barrier'] });
    };

    /** What the process in a container of the pod writes. */
    const textIn = ({ uid, name, namespace, containerId }: RigPod, container = 'app'): string =>
      textOf({
        podUid: uid,
        pod: `${namespace}/${name}`,
        container,
        containerId,
        startedOn: Math.floor(Date.now() / 1_000) - 1,
      });

    const follow = (podStatus: PodStatus, process: string): { gone: Promise<void>; calls: () => number } => {
      let calls = 0;
      const gone = new Promise<void>((resolve) => {
        podStatus.follow(process, () => {
          calls += 1;
          resolve();
        });
      });
      return { gone, calls: () => calls };
    };

    const barrierRuns = (pod: RigPod): object =>
      pod.container({ running: { startedAt: pod.startedAt } }, { name: 'barrier' });
    const barrierFell = (pod: RigPod): object =>
      pod.container({ terminated: pod.end() }, { name: 'barrier' });

    it.each<[string, (pod: RigPod) => object]>([
      ['in state', (pod) => pod.killed()],
      ['in state, after an exit with code 0', (pod) => pod.killed({ exitCode: 0, reason: 'Completed' })],
      [
        'in lastState, while it waits for its restart',
        (pod) =>
          pod.container(
            { waiting: { reason: 'CrashLoopBackOff' } },
            { lastState: { terminated: pod.end() } },
          ),
      ],
      [
        'in lastState, while its next instance runs',
        (pod) =>
          pod.container(
            { running: { startedAt: time(6) } },
            { containerID: newContainerId(), restartCount: 1, lastState: { terminated: pod.end() } },
          ),
      ],
    ])('a container is dead that is reported as terminated %s', async (_, killed) => {
      const pod = await newPod();
      await pod.report([pod.running, barrierRuns(pod)]);
      const podStatus = new PodStatus({ connection: connect(), own: undefined });
      const { gone, calls } = follow(podStatus, textIn(pod));
      await pod.report([killed(pod), barrierRuns(pod)]);
      await gone;
      expect(calls()).toBe(1);
    });

    it.each<[string, (pod: RigPod) => Promise<void>]>([
      ['a deletion timestamp', (pod) => pod.delete(30)],
      [
        'phase Failed alone',
        (pod) => pod.report([pod.running, barrierRuns(pod)], { phase: 'Failed', reason: 'Evicted' }),
      ],
      ['phase Succeeded alone', (pod) => pod.report([pod.running, barrierRuns(pod)], { phase: 'Succeeded' })],
      [
        'phase Unknown of a lost node',
        (pod) => pod.report([pod.running, barrierRuns(pod)], { phase: 'Unknown', reason: 'NodeLost' }),
      ],
      [
        'the conditions of a node that does not answer',
        (pod) =>
          pod.report([pod.running, barrierRuns(pod)], {
            conditions: [
              { type: 'Ready', status: 'False' },
              { type: 'DisruptionTarget', status: 'True', reason: 'DeletionByTaintManager' },
            ],
          }),
      ],
      [
        'exit code 255 with reason Unknown',
        (pod) => pod.report([pod.killed({ exitCode: 255, reason: 'Unknown' }), barrierRuns(pod)]),
      ],
      [
        'ContainerStatusUnknown',
        (pod) => pod.report([pod.killed({ reason: 'ContainerStatusUnknown' }), barrierRuns(pod)]),
      ],
      ['an end without a time', (pod) => pod.report([pod.killed({ finishedAt: null }), barrierRuns(pod)])],
      [
        'the end of another container id',
        (pod) => pod.report([pod.killed({ containerID: newContainerId() }), barrierRuns(pod)]),
      ],
      [
        'the end of an instance before',
        (pod) =>
          pod.report([
            pod.container(
              { running: { startedAt: pod.startedAt } },
              {
                lastState: { terminated: pod.end({ containerID: newContainerId(), finishedAt: time(-60) }) },
              },
            ),
            barrierRuns(pod),
          ]),
      ],
      [
        'an end before this instance started',
        (pod) => pod.report([pod.killed({ finishedAt: time(-60) }), barrierRuns(pod)]),
      ],
      ['a running status again, late', (pod) => pod.report([pod.running, barrierRuns(pod)])],
    ])('nothing is proven by %s', async (_, happen) => {
      const pod = await newPod();
      await pod.report([pod.running, barrierRuns(pod)]);
      const podStatus = new PodStatus({ connection: connect(), own: undefined });
      const { calls } = follow(podStatus, textIn(pod));
      const barrier = follow(podStatus, textIn(pod, 'barrier'));
      await happen(pod);
      await pod.report([pod.running, barrierFell(pod)]);
      await barrier.gone;
      expect(calls()).toBe(0);
    });

    it('a deleted pod proves nothing, and neither does the next pod of its name', async () => {
      const pod = await newPod();
      await pod.report([pod.running, barrierRuns(pod)]);
      const podStatus = new PodStatus({ connection: connect(), own: undefined });
      const { calls } = follow(podStatus, textIn(pod));
      await pod.delete(0);
      const next = await newPod(pod.name);
      const barrier = follow(podStatus, textIn(next, 'barrier'));
      // Even with the id of the first.
      await next.report([next.killed({ containerID: pod.containerId }), barrierFell(next)], {
        phase: 'Failed',
      });
      await barrier.gone;
      expect(calls()).toBe(0);
    });

    it('the own container id is learned from the own pod, also if its status comes late', async () => {
      const pod = await newPod();
      const own = processOf(textIn(pod));
      const podStatus = new PodStatus({
        connection: connect(),
        own: own && { ...own, containerId: undefined },
      });
      const told: LeaderError[] = [];
      const attendant = podStatus.attendant();
      attendant.start((error) => told.push(error));
      // Its watch is open, and shows everything from now on.
      const barrier = follow(podStatus, textIn(pod, 'barrier'));
      await pod.report([barrierFell(pod)]);
      await barrier.gone;
      expect(podStatus.self).not.toContain('containerId');
      const learned = follow(
        podStatus,
        textIn(pod, 'barrier').replace(pod.containerId, 'containerd://later'),
      );
      const later = {
        ...barrierFell(pod),
        state: { terminated: pod.end({ containerID: 'containerd://later' }) },
      };
      await pod.report([pod.running, later]);
      await learned.gone;
      expect(podStatus.self).toContain(`containerId=${pod.containerId}`);
      void attendant.stop();
      expect(told).toEqual([]);
    });

    it('the elections of an application share their watches, and lead as soon as the holder is dead', async () => {
      const [pod, ownPod] = [await newPod(), await newPod()];
      await pod.report([pod.running, barrierRuns(pod)]);
      await ownPod.report([ownPod.running, barrierRuns(ownPod)]);
      const names = Array.from({ length: 20 }, (_, index) => `shared-${String(index)}`);
      for (const name of names) await createLease(name, textIn(pod));
      for (const [variable, value] of Object.entries(ownPod.env)) vi.stubEnv(variable, value);
      const kubernetes = { server: server.url, token: 'application-token', certificateAuthority: server.ca };
      const timing = { leaseDuration: 600_000, renewDeadline: 400_000, renewInterval: 500 };
      @Module({
        imports: names.map((name) =>
          LeaderElectionModule.forRoot({
            ...timing,
            name,
            leaseName: name,
            leaseNamespace: 'default',
            identity: 'replica',
            takeover: 'podStatus',
            preflight: 'fail',
            kubernetes,
          }),
        ),
      })
      class Application {}
      connect();
      await server.grant('default', 'application', [
        {
          apiGroups: ['coordination.k8s.io'],
          resources: ['leases'],
          verbs: ['get', 'create', 'update', 'watch'],
        },
        { apiGroups: [''], resources: ['pods'], verbs: ['watch'] },
      ]);
      await mayWatchPods('application');
      const app = await NestFactory.createApplicationContext(Application, { logger: false });
      const leaders = names.map((name) => app.get<LeaderService>(getLeaderToken(name), { strict: false }));
      const failed: LeaderError[] = [];
      for (const leader of leaders) leader.on('error', ({ error }) => failed.push(error));
      const terms = leaders.map((leader) => leader.whenLeader());
      // Whoever followed later would open the watch again.
      await new Gathering().poll(() => Promise.resolve(leaders.every((leader) => leader.getLeader() !== '')));
      await pod.report([pod.killed(), barrierRuns(pod)]);
      await Promise.all(terms);
      await new Gathering().poll(async () => (await noted(names[0] ?? '')).includes(ownPod.containerId));
      await app.close();
      vi.unstubAllEnvs();
      expect(await podsWatched()).toEqual([ownPod.name, pod.name].sort());
      expect(failed).toEqual([]);
    });

    it('the right to watch pods suffices, and without it the error has the rule', async () => {
      const pod = await newPod();
      await pod.report([pod.killed(), barrierRuns(pod)]);
      const podStatus = new PodStatus({ connection: connect('replica'), own: processOf(textIn(pod)) });
      const attendant = podStatus.attendant();
      const error = await new Promise<LeaderError>((resolve) => {
        attendant.start(resolve);
      });
      void attendant.stop();
      expect(error).toMatchObject({ code: 'LEADER_POD_STATUS_FAILED', cause: { code: 'LEADER_FORBIDDEN' } });
      const rule = /apiGroups: \["(.*)"\]\n +resources: \["(.*)"\]\n +verbs: \["(.*)"\]/.exec(error.message);
      const [apiGroup = '', resource = '', verb = ''] = rule?.slice(1) ?? [];
      await server.grant('default', 'replica', [
        { apiGroups: [apiGroup], resources: [resource], verbs: [verb] },
      ]);
      await mayWatchPods('replica');
      await follow(new PodStatus({ connection, own: undefined }), textIn(pod)).gone;
    });
  });
}
