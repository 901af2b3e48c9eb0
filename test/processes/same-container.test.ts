/**
 * A leader is killed, and its container restarts. Each container is a PID namespace of its own; there is no kubelet. Where its lease is
 * taken over early, it lasts ten minutes; elsewhere the test waits until a short one expires.
 */
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { ServiceAccountFolder } from '../kubernetes/service-account.js';
import { scratchFolder } from '../rig/guard.js';
import {
  container,
  containerOfSeveral,
  lackOfContainers,
  mountedFiles,
  sharedNamespace,
} from './container.js';
import { onRealApiServer } from './on-real-api-server.js';
import { BRISK, type ReplicaFleet } from './replica-fleet.js';
import type { Container, ReplicaProcess } from './replica-process.js';

const LONG = { leaseDuration: 600_000, renewDeadline: 400_000, retryPeriod: 5_000 };
const POD = { POD_UID: '0c6f7a3e-8d0e-4c56-9f60-1d7a1f0b1c9e', POD_NAME: 'billing-0', CONTAINER_NAME: 'app' };
const OTHER_POD = { ...POD, POD_UID: '9d1f7a3e-8d0e-4c56-9f60-1d7a1f0b1c9e', POD_NAME: 'billing-1' };
const EARLY = '; the holder before it was proven dead';

const lack = lackOfContainers();
if (lack !== undefined)
  it(`containers are not tested here: ${lack}`, () => {
    expect(lack).not.toBe('');
  });

onRealApiServer('a killed leader', {}, (stage) => {
  if (lack !== undefined) return;

  /** What the holder has written about its process. */
  const noted = async (fleet: ReplicaFleet): Promise<string | undefined> => {
    const { json } = await stage.server.client.demand('GET', fleet.leasePath);
    const { annotations = {} } = (json as { metadata: { annotations?: Record<string, string> } }).metadata;
    return annotations['nestjs-leader/process'];
  };

  const kill = async (fleet: ReplicaFleet, replica: ReplicaProcess): Promise<void> => {
    replica.signal('SIGKILL');
    await replica.exited;
    fleet.provenDead(replica);
  };

  describe('is replaced at once by the next instance of its container, which knows itself by', () => {
    const folders: ServiceAccountFolder[] = [];
    afterEach(() => {
      for (const folder of folders.splice(0)) folder.remove();
    });

    /** The files of a service account, whose token the API server has bound to this pod. */
    const boundTo = async (name: string): Promise<string> => {
      const { client } = stage.server;
      const pods = '/api/v1/namespaces/default/pods';
      const spec = { containers: [{ name: 'app', image: 'billing' }] };
      const pod = await client.demand('POST', pods, {
        body: {
          apiVersion: 'v1',
          kind: 'Pod',
          metadata: { name },
          spec: { ...spec, serviceAccountName: 'billing' },
        },
      });
      const { uid } = (pod.json as { metadata: { uid: string } }).metadata;
      const { json } = await client.demand(
        'POST',
        '/api/v1/namespaces/default/serviceaccounts/billing/token',
        {
          body: {
            apiVersion: 'authentication.k8s.io/v1',
            kind: 'TokenRequest',
            spec: { boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name, uid } },
          },
        },
      );
      const { token } = (json as { status: { token: string } }).status;
      const folder = new ServiceAccountFolder({ token, 'ca.crt': 'none', namespace: 'default' });
      folders.push(folder);
      return folder.path;
    };

    beforeAll(async () => {
      await stage.server.client.demand('POST', '/api/v1/namespaces/default/serviceaccounts', {
        body: { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'billing' } },
      });
    });

    /** The same container again; its instance is the number of the call. */
    type Instances = (instance: string) => Container;

    it.each<[string, () => Promise<Instances>]>([
      ['the variables of its manifest', () => Promise.resolve(() => container({ env: POD }))],
      [
        'its bound token, and the name of its container',
        async () => {
          const serviceAccount = await boundTo('billing-0');
          return () => container({ serviceAccount, env: { CONTAINER_NAME: 'app' } });
        },
      ],
      [
        'what the kubelet mounts',
        async () => {
          const folder = await scratchFolder('kubelet');
          return (instance) =>
            container({ mounted: mountedFiles(folder, { podUid: POD.POD_UID, container: 'app', instance }) });
        },
      ],
    ])('%s', async (_, prepare) => {
      const instances = await prepare();
      const fleet = stage.emptyFleet(LONG);
      const first = await fleet.join({}, instances('0000000a'));
      const { claim } = await fleet.leader();
      await fleet.join({}, container({ env: OTHER_POD }));
      await fleet.settled();
      await kill(fleet, first);
      const second = await fleet.join({}, instances('0000000b'));
      const next = await fleet.nextTerm(claim.from, first);
      expect(next.replica).toBe(second.identity);
      // The process that has just taken over is itself replaced so.
      await kill(fleet, second);
      expect(second.log).toContain(EARLY);
      const third = await fleet.join({}, instances('0000000c'));
      expect((await fleet.nextTerm(next.from, second)).replica).toBe(third.identity);
      await fleet.expectSound();
    });
  });

  it('is replaced without a wait for its lease by a candidate with a lock delay, too', async () => {
    const fleet = stage.emptyFleet({ ...LONG, lockDelay: 2_000 });
    const first = await fleet.join({}, container({ env: POD }));
    const { claim } = await fleet.leader();
    await kill(fleet, first);
    const second = await fleet.join({}, container({ env: POD }));
    const next = await fleet.nextTerm(claim.from, first);
    expect(next.replica).toBe(second.identity);
    await fleet.expectSound();
  });

  describe('is waited for until its lease has expired', () => {
    const folder = scratchFolder('kubelet');
    const both = (one: Container, other = one): Promise<readonly [Container, Container]> =>
      Promise.resolve([one, other]);

    /** The container of the leader, and the one in which another process starts after its death. */
    it.each<[string, () => Promise<readonly [Container, Container]>]>([
      ['by another pod', () => both(container({ env: POD }), container({ env: OTHER_POD }))],
      [
        'by another container of its pod',
        () => both(container({ env: POD }), container({ env: { ...POD, CONTAINER_NAME: 'worker' } })),
      ],
      [
        'by another process of its container',
        async () => {
          const several = await containerOfSeveral({ env: POD });
          return both(several, several);
        },
      ],
      ['in a shared process namespace', () => both(sharedNamespace(POD), sharedNamespace(POD))],
      ['without the name of the container', () => both(container({ env: { POD_UID: POD.POD_UID } }))],
      ['without the uid of the pod', () => both(container({ env: { CONTAINER_NAME: 'app' } }))],
      ['if it did not know itself', () => both(container({}), container({ env: POD }))],
      ['by a process that does not know itself', () => both(container({ env: POD }), container({}))],
      [
        'by a process to which two pods are named',
        async () => {
          const mounted = mountedFiles(await folder, {
            podUid: 'another',
            container: 'app',
            instance: '0000000a',
          });
          return both(container({ env: POD }), container({ env: POD, mounted }));
        },
      ],
      [
        'by a PID namespace within its container',
        async () => {
          const mounted = mountedFiles(await folder, {
            podUid: POD.POD_UID,
            container: 'app',
            instance: '0000000b',
          });
          return both(container({ mounted }));
        },
      ],
    ])('%s', async (_, places) => {
      const [one, other] = await places();
      const fleet = stage.emptyFleet(BRISK);
      const first = await fleet.join({}, one);
      const { claim } = await fleet.leader();
      await kill(fleet, first);
      const second = await fleet.join({}, other);
      const next = await fleet.nextTerm(claim.from, first);
      expect(next.replica).toBe(second.identity);
      await fleet.expectSound();
      expect(second.log).toContain('Leading ');
      expect(second.log).not.toContain(EARLY);
    });

    it('while it lives, although the kubelet has started its container again', async () => {
      const fleet = stage.emptyFleet(BRISK);
      const first = await fleet.join({}, container({ env: POD }));
      const { claim } = await fleet.leader();
      // It is stopped, so it neither renews nor sees the other, and cannot end.
      first.signal('SIGSTOP');
      const second = await fleet.join({}, container({ env: POD }));
      expect((await fleet.nextTerm(claim.from, first)).replica).toBe(second.identity);
      first.signal('SIGCONT');
      await fleet.expectSound();
      expect(second.log).toContain('Leading ');
      expect(second.log).not.toContain(EARLY);
    });

    it.each([
      ['it has noted nothing', { takeover: 'expiry' }, {}],
      ['the next process looks for nothing', {}, { takeover: 'expiry' }],
    ] as const)("with takeover: 'expiry': %s", async (_, its, ours) => {
      const fleet = stage.emptyFleet(BRISK);
      const first = await fleet.join(its, container({ env: POD }));
      const { claim } = await fleet.leader();
      expect((await noted(fleet)) === undefined).toBe('takeover' in its);
      await kill(fleet, first);
      const second = await fleet.join(ours, container({ env: POD }));
      await fleet.nextTerm(claim.from, first);
      await fleet.expectSound();
      expect(second.log).not.toContain(EARLY);
    });
  });

  it('with two Leases is replaced at once, too', async () => {
    const fleet = stage.emptyFleet(LONG);
    const options = { alsoLease: 'same-container-also' };
    const first = await fleet.join(options, container({ env: POD }));
    const { claim } = await fleet.leader();
    await kill(fleet, first);
    const second = await fleet.join(options, container({ env: POD }));
    expect((await fleet.nextTerm(claim.from, first)).replica).toBe(second.identity);
    await fleet.expectSound();
    expect(second.log).toContain(EARLY);
  });
});
