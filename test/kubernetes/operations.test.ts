/**
 * docs/operations.md on the real API server: its manifests, which deploy/base holds, too, are accepted, an election runs with
 * exactly these rights, and each right taken away alone breaks what the table says it is for.
 */
import { readFile } from 'node:fs/promises';
import { loadAllYaml } from '@kubernetes/client-node';
import { Injectable, Module, type INestApplicationContext } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  LeaderElectionModule,
  LeaderService,
  isLeaderError,
  type LeaderElectionModuleOptions,
  type LeaderError,
  type LeaderErrorCode,
} from '../../lib/index.js';
import { documentedOverlay } from '../deploy/overlay.js';
import { examplesIn } from '../package/consumer.js';
import { findKustomize } from '../rig/kustomize.js';
import { RealApiServer, type PolicyRule } from '../rig/real-api-server.js';
import { findServers } from '../rig/servers.js';

interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly rules?: readonly PolicyRule[];
  readonly spec?: {
    readonly selector?: Readonly<Record<string, string>>;
    readonly template?: object;
  };
}

interface Stored {
  readonly metadata: {
    readonly name: string;
    readonly uid: string;
    readonly resourceVersion: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly ownerReferences?: unknown;
  };
}

const paths: Readonly<Record<string, string>> = {
  ServiceAccount: '/api/v1/namespaces/NS/serviceaccounts',
  Role: '/apis/rbac.authorization.k8s.io/v1/namespaces/NS/roles',
  RoleBinding: '/apis/rbac.authorization.k8s.io/v1/namespaces/NS/rolebindings',
  Deployment: '/apis/apps/v1/namespaces/NS/deployments',
  PodDisruptionBudget: '/apis/policy/v1/namespaces/NS/poddisruptionbudgets',
  Service: '/api/v1/namespaces/NS/services',
  Pod: '/api/v1/namespaces/NS/pods',
  Lease: '/apis/coordination.k8s.io/v1/namespaces/NS/leases',
  Event: '/api/v1/namespaces/NS/events',
};

/** Collects every failure from the start. */
@Injectable()
class Witness {
  readonly errors: LeaderError[] = [];
  #heard: () => void = () => undefined;

  constructor(leader: LeaderService) {
    leader.on('error', ({ error }) => {
      this.errors.push(error);
      this.#heard();
    });
  }

  async failedWith(code: LeaderErrorCode): Promise<LeaderError> {
    for (;;) {
      const error = this.errors.find((one) => isLeaderError(one, code));
      if (error !== undefined) return error;
      await new Promise<void>((resolve) => {
        this.#heard = resolve;
      });
    }
  }
}

@Module({ providers: [Witness] })
class WitnessModule {}

/** A namespace with the manifests, and replicas that run with their rights. */
class Namespace {
  readonly #apps: INestApplicationContext[] = [];
  readonly #server: RealApiServer;
  readonly #name: string;
  readonly #manifests: readonly Manifest[];
  #token = '';

  constructor(server: RealApiServer, name: string, manifests: readonly Manifest[]) {
    this.#server = server;
    this.#name = name;
    this.#manifests = manifests;
  }

  async apply(): Promise<void> {
    await this.#server.createNamespace(this.#name);
    for (const manifest of this.#manifests) await this.create(manifest);
    this.#token = await this.#server.serviceAccountToken(this.#name, 'billing');
    const [rule] = this.#manifests.flatMap(({ rules = [] }) => rules);
    if (rule === undefined) throw new Error('the manifests hold no Role');
    // RBAC sees a Role a moment after it is stored, with all its rules at once.
    while (!(await this.#isGranted(rule)));
  }

  async create(object: Manifest): Promise<Stored> {
    const path = `${this.#path(object.kind)}?fieldValidation=Strict`;
    return (await this.#server.client.demand('POST', path, { body: object })).json as Stored;
  }

  async get(kind: string, name: string): Promise<Stored> {
    return (await this.#server.client.demand('GET', `${this.#path(kind)}/${name}`)).json as Stored;
  }

  async list<T = Stored>(kind: string, query: Readonly<Record<string, string>>): Promise<T[]> {
    const path = `${this.#path(kind)}?${new URLSearchParams(query).toString()}`;
    return ((await this.#server.client.demand('GET', path)).json as { items: T[] }).items;
  }

  /** A replica in a Pod of the Deployment's template. No controller runs here that would create the Pod. */
  async replica(pod: string, options: Partial<LeaderElectionModuleOptions> = {}): Promise<Witness> {
    const template = this.#manifests.find(({ kind }) => kind === 'Deployment')?.spec?.template as Manifest;
    const metadata = { ...template.metadata, name: pod };
    const { uid } = (await this.create({ ...template, kind: 'Pod', metadata })).metadata;
    const env = { POD_NAME: pod, POD_UID: uid, POD_NAMESPACE: this.#name, CONTAINER_NAME: 'billing' };
    for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value);
    const election = LeaderElectionModule.forRoot({
      leaseName: 'billing',
      leaseNamespace: this.#name,
      identity: pod,
      events: true,
      leaderPodLabels: { role: 'leader' },
      takeover: 'podStatus',
      kubernetes: { server: this.#server.url, token: this.#token, certificateAuthority: this.#server.ca },
      ...options,
    });
    @Module({ imports: [election, WitnessModule] })
    class Application {}
    const app = await NestFactory.createApplicationContext(Application, {
      logger: false,
      abortOnError: false,
    });
    this.#apps.push(app);
    return app.get(Witness, { strict: false });
  }

  leader(replica = 0): LeaderService {
    const app = this.#apps[replica];
    if (app === undefined) throw new Error(`there is no replica ${String(replica)}`);
    return app.get(LeaderService);
  }

  async close(replica: number): Promise<void> {
    await this.#apps[replica]?.close();
  }

  async end(): Promise<void> {
    await Promise.all(this.#apps.map((app) => app.close()));
  }

  #path(kind: string): string {
    return String(paths[kind]).replace('NS', this.#name);
  }

  async #isGranted(rule: PolicyRule): Promise<boolean> {
    const resourceAttributes = {
      namespace: this.#name,
      group: rule.apiGroups[0],
      resource: rule.resources[0],
      verb: rule.verbs[0],
      name: rule.resourceNames?.[0],
    };
    const answer = await this.#server.client.request(
      'POST',
      '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews',
      { token: this.#token, body: { spec: { resourceAttributes } } },
    );
    return (answer.json as { status?: { allowed?: boolean } }).status?.allowed === true;
  }
}

const found = findServers();

async function documented(): Promise<Manifest[]> {
  return loadAllYaml((await examplesIn('docs/operations.md')).get('billing.yaml') ?? '') as Manifest[];
}

/** The manifests without this right. */
function without(manifests: readonly Manifest[], resource: string, verb: string): Manifest[] {
  const narrowed = (rule: PolicyRule): PolicyRule[] => {
    const verbs = rule.verbs.filter((one) => !rule.resources.includes(resource) || one !== verb);
    return verbs.length === 0 ? [] : [{ ...rule, verbs }];
  };
  return manifests.map((one) =>
    one.rules === undefined ? one : { ...one, rules: one.rules.flatMap(narrowed) },
  );
}

/** The visible consequence of each missing right, by its name in the table. */
const consequences: Readonly<Record<string, (namespace: Namespace) => Promise<void>>> = {
  'leases get': async (namespace) => {
    const witness = await namespace.replica('a');
    expect((await witness.failedWith('LEADER_FORBIDDEN')).message).toContain('does not permit get');
    expect(await namespace.list('Lease', {})).toEqual([]);
  },
  'leases create': async (namespace) => {
    const witness = await namespace.replica('a');
    await witness.failedWith('LEADER_FORBIDDEN');
    expect(await namespace.list('Lease', {})).toEqual([]);
    const lease = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { name: 'billing' } };
    await namespace.create(lease);
    await namespace.leader().whenLeader();
  },
  'leases update': async (namespace) => {
    const lease = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { name: 'billing' } };
    await namespace.create(lease);
    const witness = await namespace.replica('a');
    expect((await witness.failedWith('LEADER_FORBIDDEN')).message).toContain('does not permit update');
    expect(namespace.leader().isLeader()).toBe(false);
  },
  'leases watch': async (namespace) => {
    const witness = await namespace.replica('a');
    await witness.failedWith('LEADER_WATCH_DENIED');
    await namespace.leader().whenLeader();
  },
  'events create': async (namespace) => {
    const witness = await namespace.replica('a');
    await namespace.leader().whenLeader();
    expect((await witness.failedWith('LEADER_EVENT_FAILED')).message).toContain(
      'does not permit create on events',
    );
    // The API server itself writes Events, too, on a Service for example.
    expect(await namespace.list('Event', { fieldSelector: 'involvedObject.kind=Lease' })).toEqual([]);
  },
  'pods patch': async (namespace) => {
    const witness = await namespace.replica('a');
    await namespace.leader().whenLeader();
    expect((await witness.failedWith('LEADER_POD_LABEL_FAILED')).message).toContain(
      'does not permit patch on pods',
    );
    expect((await namespace.get('Pod', 'a')).metadata.labels).toEqual({ app: 'billing' });
  },
  'pods watch': async (namespace) => {
    const witness = await namespace.replica('a');
    await namespace.leader().whenLeader();
    expect((await witness.failedWith('LEADER_POD_STATUS_FAILED')).message).toContain(
      'does not permit watch on pods',
    );
  },
};

if (!found.available) {
  describe('docs/operations.md', () => {
    it(`is not tested here: ${found.reason}`, () => {
      expect(found.reason).not.toBe('');
    });
  });
} else {
  describe('docs/operations.md', () => {
    let server: RealApiServer;
    let manifests: Manifest[];
    let namespace: Namespace;
    let count = 0;

    const apply = async (applied: readonly Manifest[]): Promise<Namespace> => {
      count += 1;
      namespace = new Namespace(server, `operations-${String(count)}`, applied);
      await namespace.apply();
      return namespace;
    };

    beforeAll(async () => {
      server = await RealApiServer.start();
    });
    beforeEach(async () => {
      manifests = await documented();
    });
    afterEach(async () => {
      await namespace.end();
      vi.unstubAllEnvs();
    });
    afterAll(() => server.stop());

    it('an election runs with exactly these rights: label, events, owner, hand-over', async () => {
      await apply(manifests);
      const { uid } = (await namespace.get('Deployment', 'billing')).metadata;
      const ownerReference = { apiVersion: 'apps/v1', kind: 'Deployment', name: 'billing', uid };
      const selector = Object.entries(manifests.find(({ kind }) => kind === 'Service')?.spec?.selector ?? {});
      const labelSelector = selector.map((pair) => pair.join('=')).join(',');
      const selected = async (): Promise<Stored[]> => namespace.list('Pod', { labelSelector });

      const first = await namespace.replica('a', { preflight: 'fail', ownerReference });
      await namespace.leader(0).whenLeader();
      expect((await selected()).map(({ metadata }) => metadata.name)).toEqual(['a']);
      const lease = (await namespace.get('Lease', 'billing')).metadata;
      expect(lease.ownerReferences).toEqual([ownerReference]);

      const second = await namespace.replica('b', { preflight: 'fail' });
      const leads = namespace.leader(1).whenLeader();
      await namespace.close(0);
      const { fencingToken } = await leads;
      expect((await selected()).map(({ metadata }) => metadata.name)).toEqual(['b']);
      // Versions count all writes of the cluster: the label was removed before the next term began, and added after.
      const changedAt = async (pod: string): Promise<bigint> =>
        BigInt((await namespace.get('Pod', pod)).metadata.resourceVersion);
      expect((await changedAt('a')) < fencingToken && fencingToken < (await changedAt('b'))).toBe(true);

      await namespace.close(1);
      const events = await namespace.list<{ message: string; reason: string; type: string }>('Event', {
        // As `kubectl describe lease` selects them.
        fieldSelector: `involvedObject.uid=${lease.uid},involvedObject.kind=Lease,involvedObject.name=billing`,
      });
      expect(events.map(({ message }) => message).sort()).toEqual([
        'a became leader',
        'a stopped leading',
        'b became leader',
        'b stopped leading',
      ]);
      expect(new Set(events.map(({ reason, type }) => `${type} ${reason}`))).toEqual(
        new Set(['Normal LeaderElection']),
      );
      expect([...first.errors, ...second.errors]).toEqual([]);
    });

    const kustomize = findKustomize();
    it.runIf(kustomize.available)('the overlay for kustomize is accepted', async () => {
      if (!kustomize.available) return;
      const objects = await documentedOverlay<Manifest>(kustomize.build);
      namespace = new Namespace(server, 'shop', objects);
      await namespace.apply();
      expect(await namespace.get('Deployment', 'billing')).toMatchObject({ spec: { replicas: 5 } });
    });

    it('the table names every right of the Role, and no other', async () => {
      const text = await readFile('docs/operations.md', 'utf8');
      const cells = text.matchAll(/^\| `(\w+)` +\| `(\w+)` +\|/gm);
      const rows = [...cells].map(([, ...right]) => right.join(' '));
      const granted = manifests
        .flatMap(({ rules = [] }) => rules)
        .flatMap(({ resources, verbs }) => verbs.map((verb) => `${String(resources)} ${verb}`));
      expect(rows).toEqual(granted);
      expect(rows).toEqual(Object.keys(consequences));
    });

    it.each(Object.keys(consequences))(
      'without %s: the consequence in the table, and preflight reports it',
      async (right) => {
        const [resource = '', verb = ''] = right.split(' ');
        await apply(without(manifests, resource, verb));
        const named = `${verb} on ${resource === 'leases' ? 'leases.coordination.k8s.io' : resource}`;
        await expect(namespace.replica('refused', { preflight: 'fail' })).rejects.toMatchObject({
          code: 'LEADER_PERMISSION_MISSING',
          message: expect.stringContaining(`lacks a permission that its election needs: ${named}`),
        });
        await consequences[right]?.(namespace);
      },
    );

    it('preflight also asks for what a coordinated election needs', async () => {
      await apply(manifests);
      const coordinated = { binaryVersion: '1.0.0' };
      await expect(
        namespace.replica('a', { preflight: 'fail', coordinated, takeover: 'expiry' }),
      ).rejects.toMatchObject({
        code: 'LEADER_PERMISSION_MISSING',
        message: expect.stringMatching(
          /lacks 5 permissions .*: get on leasecandidates.coordination.k8s.io 'a' in .*, watch on [^]* {4}resources: \["leasecandidates"\]\n {4}verbs: \["get", "create", "update", "delete", "watch"\]$/,
        ),
      });
    });

    it('preflight reports one error that names every missing verb and the rules that grant them', async () => {
      await apply(without(without(manifests, 'pods', 'patch'), 'leases', 'watch'));
      const witness = await namespace.replica('a');
      const { message } = await witness.failedWith('LEADER_PERMISSION_MISSING');
      expect(message).toMatch(
        /lacks 2 permissions .*: watch on leases.coordination.k8s.io 'billing' in namespace '.*', patch on pods 'a' in/,
      );
      expect(message).toContain('    resourceNames: ["billing"]\n    verbs: ["watch"]');
      expect(message).toContain('    resources: ["pods"]\n    verbs: ["patch"]');
    });
  });
}
