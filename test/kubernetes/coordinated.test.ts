/** Coordinated elections on the real API server, whose controller chooses the holder by version (KEP-4355). */
import { setTimeout } from 'node:timers/promises';
import { NestFactory } from '@nestjs/core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  resolveElectionOptions,
  type ElectionEvent,
  type ElectionOptions,
  type LeadershipTerm,
  type LeaderError,
  type TermGuard,
} from '../../lib/election/index.js';
import { LeaderElectionModule, LeaderService } from '../../lib/index.js';
import type { ClusterRequest } from '../../lib/kubernetes/connection.js';
import {
  CoordinatedElector,
  KubernetesConnection,
  KubernetesLeaseLock,
  LeaseCandidateKeeper,
} from '../../lib/kubernetes/index.js';
import type { HttpResponse } from '../../lib/kubernetes/transport.js';
import { RealApiServer } from '../rig/real-api-server.js';
import { findServers } from '../rig/servers.js';
import { Gathering } from './gathering.js';

const found = findServers();
const GROUP = '/apis/coordination.k8s.io';

interface ReplicaOptions {
  readonly lease: string;
  readonly identity: string;
  readonly version: string;
  readonly user?: string;
  readonly timing?: Partial<ElectionOptions>;
  readonly guard?: TermGuard;
}

/** A connection that can be dead: then nothing passes in either direction. It remembers what was sent. */
class MortalConnection extends KubernetesConnection {
  readonly #death = new AbortController();
  readonly sent: string[] = [];

  die(): void {
    this.#death.abort();
  }

  override request(request: ClusterRequest): Promise<HttpResponse> {
    const { holderIdentity } =
      (request.body as { spec?: { holderIdentity?: string } } | undefined)?.spec ?? {};
    const holder = holderIdentity === undefined ? '' : ` holder '${holderIdentity}'`;
    this.sent.push(`${request.method} ${request.path}${holder}`);
    return super.request({ ...request, signal: AbortSignal.any([request.signal, this.#death.signal]) });
  }

  override stream(path: string, signal: AbortSignal): ReturnType<KubernetesConnection['stream']> {
    return super.stream(path, AbortSignal.any([signal, this.#death.signal]));
  }
}

/** A replica of some version. */
class Replica {
  readonly #connection: MortalConnection;
  readonly #stop = new AbortController();
  readonly #stopped: Promise<void>;
  readonly errors: LeaderError[] = [];
  /** How many terms began. */
  terms = 0;
  #term: LeadershipTerm | undefined;

  constructor(
    server: RealApiServer,
    readonly options: ReplicaOptions,
    onEvent: (event: ElectionEvent) => void,
  ) {
    const { lease: name, identity, version, user = 'admin', timing = {}, guard } = options;
    this.#connection = new MortalConnection({
      server: server.url,
      token: `${user}-token`,
      certificateAuthority: server.ca,
    });
    const lease = { name, namespace: 'ours', labels: { app: 'billing' } };
    const lock = new KubernetesLeaseLock(this.#connection, lease);
    const elector = new CoordinatedElector({
      lock,
      guard,
      options: resolveElectionOptions({ leaseName: name, ...timing }, { leaseNamespace: 'ours', identity }),
      coordination: new LeaseCandidateKeeper({
        connection: this.#connection,
        lock,
        lease,
        identity,
        spec: { binaryVersion: version, emulationVersion: version, strategy: 'OldestEmulationVersion' },
        retryPeriod: 2_000,
        longestWithdrawal: 4_000,
      }),
    });
    this.#stopped = elector.run(this.#stop.signal, (event) => {
      if (event.type === 'startedLeading') {
        this.#term = event.term;
        this.terms += 1;
      }
      if (event.type === 'error') this.errors.push(event.error);
      onEvent(event);
    });
  }

  /** The requests so far, in order. */
  get sent(): readonly string[] {
    return this.#connection.sent;
  }

  get leads(): boolean {
    return this.#term !== undefined && !this.#term.isOver;
  }

  /** Looks to all others as if the process had been killed. */
  die(): void {
    this.#connection.die();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#stopped;
    this.#connection.close();
  }
}

if (!found.available) {
  describe('a coordinated election on the real API server', () => {
    it(`is not tested here: ${found.reason}`, () => {
      expect(found.reason).not.toBe('');
    });
  });
} else {
  describe('a coordinated election on the real API server', { timeout: 120_000 }, () => {
    let server: RealApiServer;
    let happened = new Gathering();
    let replicas: Replica[] = [];

    const start = (
      lease: string,
      identity: string,
      version: string,
      more: Pick<ReplicaOptions, 'user' | 'timing' | 'guard'> = {},
    ): Replica => {
      const replica = new Replica(server, { lease, identity, version, ...more }, () => {
        if (replicas.filter(({ leads }) => leads).length > 1) happened.fail('two lead');
        happened.tell();
      });
      replicas.push(replica);
      return replica;
    };
    const candidate = (name: string): string => `${GROUP}/v1beta1/namespaces/ours/leasecandidates/${name}`;
    const standing = (name: string): Promise<void> =>
      happened.poll(async () => (await specOf(candidate(name))) !== undefined);
    /** The server treats candidates of the same second as equally old, and may prefer either. */
    const standingForASecond = async (name: string): Promise<void> => {
      await standing(name);
      const { json } = await server.client.demand('GET', candidate(name));
      const { creationTimestamp } = (json as { metadata: { creationTimestamp: string } }).metadata;
      await happened.poll(() => Promise.resolve(Date.now() >= Date.parse(creationTimestamp) + 1_000));
    };
    const specOf = async (path: string): Promise<Record<string, string> | undefined> => {
      const { json } = await server.client.request('GET', path);
      return (json as { spec?: Record<string, string> }).spec;
    };

    beforeAll(async () => {
      server = await RealApiServer.start({ users: ['alice', 'bob', 'carol'] });
      await server.createNamespace('ours');
    }, 600_000);

    afterEach(async () => {
      await Promise.all(replicas.map((replica) => replica.stop()));
      replicas = [];
      happened = new Gathering();
    });

    afterAll(async () => {
      await server.stop();
    });

    it('a single process is elected, claims the lease, and leaves neither a holder nor a candidate', async () => {
      const alone = start('alone', 'alone-1', '1.0.0');
      await happened.until(() => alone.leads);
      expect(await specOf(`${GROUP}/v1/namespaces/ours/leases/alone`)).toMatchObject({
        holderIdentity: 'alone-1',
        leaseDurationSeconds: 15,
        leaseTransitions: 1,
        strategy: 'OldestEmulationVersion',
      });
      const { json } = await server.client.demand('GET', candidate('alone-1'));
      expect(json).toMatchObject({
        metadata: { labels: { app: 'billing' } },
        spec: { leaseName: 'alone', binaryVersion: '1.0.0', emulationVersion: '1.0.0' },
      });
      await alone.stop();
      // Not what the Lease says: a controller that is just choosing a holder may name this process once more.
      expect(alone.sent.slice(-2)).toEqual([
        `DELETE ${candidate('alone-1')}`,
        `PUT ${GROUP}/v1/namespaces/ours/leases/alone holder ''`,
      ]);
      expect((await server.client.request('GET', candidate('alone-1'))).status).toBe(404);
      expect(alone.errors).toEqual([]);
    });

    it('a Lease that the API server creates has no leaseTransitions, which shows that nobody has held it', async () => {
      const renewTime = new Date().toISOString().replace('Z', '000Z');
      const spec = { leaseName: 'made', binaryVersion: '1.0.0', emulationVersion: '1.0.0', renewTime };
      await server.client.demand('PUT', candidate('made-1'), {
        body: { metadata: { name: 'made-1' }, spec: { ...spec, strategy: 'OldestEmulationVersion' } },
      });
      const lease = `${GROUP}/v1/namespaces/ours/leases/made`;
      await happened.poll(async () => (await specOf(lease))?.['holderIdentity'] === 'made-1');
      const fields = Object.keys((await specOf(lease)) ?? {}).sort();
      expect(fields).toEqual(['holderIdentity', 'leaseDurationSeconds', 'renewTime', 'strategy']);
      await server.client.demand('DELETE', candidate('made-1'));
    });

    it('an application with the option coordinated is elected, and leaves no candidate behind', async () => {
      const app = await NestFactory.createApplicationContext(
        LeaderElectionModule.forRoot({
          leaseName: 'application',
          leaseNamespace: 'ours',
          coordinated: { binaryVersion: '1.4.0', emulationVersion: '1.3.0' },
          kubernetes: { server: server.url, token: 'admin-token', certificateAuthority: server.ca },
        }),
        { logger: false },
      );
      const leader = app.get(LeaderService);
      await leader.whenLeader();
      expect(await specOf(candidate(leader.identity))).toMatchObject({
        leaseName: 'application',
        binaryVersion: '1.4.0',
        emulationVersion: '1.3.0',
        strategy: 'OldestEmulationVersion',
      });
      await app.close();
      expect((await server.client.request('GET', candidate(leader.identity))).status).toBe(404);
    });

    it('answers pings, and creates its candidate again when somebody deletes it', async () => {
      const replica = start('pinged', 'pinged-1', '1.0.0');
      await happened.until(() => replica.leads);
      const pingTime = new Date(Date.now() + 2_000).toISOString().replace('Z', '000Z');
      await server.client.demand('PATCH', candidate('pinged-1'), {
        contentType: 'application/merge-patch+json',
        body: { spec: { pingTime } },
      });
      // This clock is behind the clock of the ping, but the answer is not.
      await happened.poll(async () => (await specOf(candidate('pinged-1')))?.['renewTime'] === pingTime);
      await server.client.demand('DELETE', candidate('pinged-1'));
      await standing('pinged-1');
    });

    it('leadership moves to the oldest version, and stays there while newer versions come and go', async () => {
      const newer = start('rolling', 'rolling-new', '1.2.0');
      await happened.until(() => newer.leads);
      const older = start('rolling', 'rolling-old', '1.1.0');
      await happened.until(() => older.leads);
      expect(newer.leads).toBe(false);
    });

    it('during a rolling upgrade of three replicas an old one leads until the last is gone', async () => {
      const old: Replica[] = [];
      for (const name of ['upgrade-old-1', 'upgrade-old-2', 'upgrade-old-3']) {
        old.push(start('upgrade', name, '1.0.0'));
        await standingForASecond(name);
      }
      await happened.until(() => old.some(({ leads }) => leads));
      const fresh: Replica[] = [];
      while (old.length > 0) {
        const name = `upgrade-new-${String(fresh.length + 1)}`;
        fresh.push(start('upgrade', name, '2.0.0'));
        await standingForASecond(name);
        // The leader goes first, which is the hardest case.
        const leader = old.find(({ leads }) => leads);
        if (leader === undefined) throw new Error('no old one leads');
        old.splice(old.indexOf(leader), 1);
        await leader.stop();
        await happened.until(() => replicas.some(({ leads }) => leads));
        expect((old.length > 0 ? old : fresh).some(({ leads }) => leads)).toBe(true);
      }
    });

    it('a leader that stops is followed by one term of one other process, even if terms begin slowly', async () => {
      // The delay itself is tested; the test does not use it to wait for anything.
      const slowly: TermGuard = { atStart: () => setTimeout(200), atEnd: () => Promise.resolve() };
      const candidates: Replica[] = [];
      for (const name of ['guarded-1', 'guarded-2', 'guarded-3', 'guarded-4']) {
        candidates.push(start('guarded', name, '1.0.0', { guard: slowly }));
        await standingForASecond(name);
      }
      await happened.until(() => candidates.some(({ leads }) => leads));
      const leader = candidates.find(({ leads }) => leads);
      const others = candidates.filter((each) => each !== leader);
      const termsOfOthers = (): number => others.reduce((sum, { terms }) => sum + terms, 0);
      const before = termsOfOthers();
      await leader?.stop();
      await happened.until(() => others.some(({ leads }) => leads));
      const lease = `${GROUP}/v1/namespaces/ours/leases/guarded`;
      const claimed = await specOf(lease);
      await happened.poll(async () => (await specOf(lease))?.['renewTime'] !== claimed?.['renewTime']);
      expect([termsOfOthers() - before, others.filter(({ leads }) => leads).length]).toEqual([1, 1]);
      expect((await specOf(lease))?.['holderIdentity']).toBe(claimed?.['holderIdentity']);
    });

    it('the oldest remaining version leads when the holder dies', async () => {
      const timing = { leaseDuration: 2_000, renewDeadline: 1_500, retryPeriod: 300 };
      const old = start('death', 'death-old', '1.0.0', { timing });
      await happened.until(() => old.leads);
      const next = start('death', 'death-next', '2.0.0', { timing });
      const last = start('death', 'death-last', '3.0.0', { timing });
      await standing('death-next');
      await standing('death-last');
      old.die();
      await happened.until(() => next.leads || last.leads);
      expect([old.leads, next.leads, last.leads]).toEqual([false, true, false]);
    });

    it('writes a holder into a Lease without one, which would crash the API server', async () => {
      const lease = `${GROUP}/v1/namespaces/ours/leases`;
      await server.client.demand('POST', lease, { body: { metadata: { name: 'made-by-hand' }, spec: {} } });
      const replica = start('made-by-hand', 'by-hand-1', '1.0.0');
      await happened.until(() => replica.leads);
      expect(replica.errors).toEqual([]);
    });

    it('reports which rule is missing for candidates', async () => {
      await server.grant('ours', 'alice', [
        {
          apiGroups: ['coordination.k8s.io'],
          resources: ['leases'],
          resourceNames: ['forbidden'],
          verbs: ['get', 'create', 'update', 'watch'],
        },
      ]);
      const replica = start('forbidden', 'forbidden-1', '1.0.0', { user: 'alice' });
      await happened.until(() => replica.errors.length > 0);
      expect(replica.errors[0]).toMatchObject({
        code: 'LEADER_FORBIDDEN',
        message: expect.stringContaining(
          '    resources: ["leasecandidates"]\n' +
            '    verbs: ["get", "create", "update", "delete", "watch"]',
        ) as string,
      });
    });

    it('reports that one identity cannot stand for two leases', async () => {
      const first = start('one-name', 'one-name-1', '1.0.0');
      await happened.until(() => first.leads);
      const second = start('other-name', 'one-name-1', '1.0.0');
      await happened.until(() => second.errors.length > 0);
      expect(second.errors[0]?.message).toContain("stands for the lease 'one-name', not for 'other-name'");
      const before = await server.client.demand('GET', candidate('one-name-1'));
      await second.stop();
      expect((await server.client.demand('GET', candidate('one-name-1'))).json).toEqual(before.json);
    });

    it('without permission to watch its candidate it writes it again and again, and reports that', async () => {
      const apiGroups = ['coordination.k8s.io'];
      await server.grant('ours', 'carol', [
        { apiGroups, resources: ['leases'], verbs: ['get', 'create', 'update', 'watch'] },
        { apiGroups, resources: ['leasecandidates'], verbs: ['get', 'create', 'update', 'delete'] },
      ]);
      const replica = start('unwatched', 'unwatched-1', '1.0.0', { user: 'carol' });
      await happened.until(() => replica.leads && replica.errors.length > 0);
      expect(replica.errors.map(({ message }) => message)).toEqual([
        expect.stringContaining("does not permit watch on leasecandidates.coordination.k8s.io 'unwatched-1'"),
      ]);
      const pingTime = new Date().toISOString().replace('Z', '000Z');
      await server.client.demand('PATCH', candidate('unwatched-1'), {
        contentType: 'application/merge-patch+json',
        body: { spec: { pingTime } },
      });
      await happened.poll(
        async () => ((await specOf(candidate('unwatched-1')))?.['renewTime'] ?? '') >= pingTime,
      );
    });

    it('leads with only that rule', async () => {
      const verbs = ['get', 'create', 'update', 'watch'];
      const apiGroups = ['coordination.k8s.io'];
      await server.grant('ours', 'bob', [
        { apiGroups, resources: ['leases'], resourceNames: ['small-role'], verbs },
        { apiGroups, resources: ['leasecandidates'], verbs: [...verbs, 'delete'] },
      ]);
      const replica = start('small-role', 'small-role-1', '1.0.0', { user: 'bob' });
      await happened.until(() => replica.leads);
      await replica.stop();
      expect(replica.errors).toEqual([]);
      expect((await server.client.request('GET', candidate('small-role-1'))).status).toBe(404);
    });
  });
}
