/** The commands against the embedded server. Each runs in this process. */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { LeaseElector, resolveElectionOptions, type ElectionOptions } from '../../lib/election/index.js';
import { KubernetesConnection, KubernetesLeaseLock } from '../../lib/kubernetes/index.js';
import { LeaseApiServer, type LeaseApiServerOptions } from '../../lib/testing/index.js';
import { httpProxy } from '../troubleshooting/http-proxy.js';
import { runCommand, type Ran, type RunSettings } from './script-terminal.js';

let folder: string;
let server: LeaseApiServer;
let ends: (() => Promise<void> | void)[] = [];

async function serve(options: LeaseApiServerOptions = {}): Promise<void> {
  server = await LeaseApiServer.start(options);
  ends.push(() => server.stop());
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nestjs-leader-cli-'));
  await serve();
});

afterEach(async () => {
  for (const end of ends.reverse()) await end();
  ends = [];
  await rm(folder, { recursive: true });
});

async function cli(command: string, settings?: RunSettings, token?: string): Promise<Ran> {
  const kubeconfig = await server.writeKubeconfig(join(folder, 'kubeconfig.json'), { token });
  return runCommand([...command.split(' '), '--kubeconfig', kubeconfig], settings);
}

/** A process that takes part in the election 'billing'. Resolves when `when` has happened. */
async function start(
  identity: string,
  when: 'startedLeading' | 'newLeader' = 'newLeader',
  options: Partial<ElectionOptions> = {},
): Promise<void> {
  const connection = new KubernetesConnection({ server: server.url });
  const lock = new KubernetesLeaseLock(connection, { name: 'billing', namespace: 'default', labels: {} });
  const resolved = resolveElectionOptions(
    { leaseName: 'billing', ...options },
    { leaseNamespace: 'default', identity },
  );
  const stop = new AbortController();
  await new Promise<void>((happened) => {
    const running = new LeaseElector({ lock, options: resolved }).run(stop.signal, ({ type }) => {
      if (type === when) happened();
    });
    ends.push(async () => {
      stop.abort();
      await running;
      connection.close();
    });
  });
}

const controls = /(?!\n)[\p{Cc}\p{Cf}]/u;

/** Calls `use` as if this machine had no kubeconfig. */
async function withoutCluster<T>(use: () => Promise<T>): Promise<T> {
  vi.stubEnv('KUBECONFIG', '');
  vi.stubEnv('HOME', folder);
  vi.stubEnv('KUBERNETES_SERVICE_HOST', '');
  return use().finally(() => vi.unstubAllEnvs());
}

const foreign = (spec: object = {}): void => {
  const now = `${new Date().toISOString().slice(0, -1)}000Z`;
  server.put({
    metadata: { name: 'billing' },
    spec: {
      ...{ holderIdentity: 'go-1', leaseDurationSeconds: 15, leaseTransitions: 2 },
      ...{ acquireTime: now, renewTime: now },
      ...spec,
    },
  });
};

describe('status', () => {
  it('shows the Leases of a namespace, or of all', async () => {
    await start('pod-1');
    server.put({ metadata: { name: 'empty' } });
    server.put({ metadata: { name: 'released', namespace: 'other' }, spec: { leaseTransitions: 4 } });
    const { out, code } = await cli('status');
    expect(code).toBe(0);
    const lines = out.split('\n').map((line) => line.split(/ {3,}/));
    expect(lines[0]).toEqual([
      'NAME',
      'HOLDER',
      'STATE',
      'RENEWED',
      'TERM AGE',
      'TRANSITIONS',
      'ASKED BY',
      'WRITTEN BY',
    ]);
    expect(lines[1]).toEqual(expect.arrayContaining(['billing', 'pod-1', 'held', 'nestjs-leader']));
    expect(lines[2]?.slice(0, 3)).toEqual(['empty', '<none>', 'never held']);
    expect(lines).toHaveLength(4);
    const all = await cli('status -A');
    expect(all.out.split('\n')[3]).toMatch(/^other +released +<none> +released /);
  });

  it('tells by its exit code whether somebody holds the Lease', async () => {
    await start('pod-1');
    server.put({ metadata: { name: 'empty' } });
    expect((await cli('status billing')).code).toBe(0);
    expect(await cli('status empty')).toMatchObject({ code: 3, err: '' });
    const none = await cli('status nope');
    expect(none).toMatchObject({ code: 3, out: '' });
    expect(none.err).toContain("There is no Lease 'nope' in namespace 'default'.");
  });

  it('prints JSON', async () => {
    foreign();
    const { out } = await cli('status billing --json');
    expect(JSON.parse(out)).toMatchObject({
      leases: [
        { name: 'billing', holder: 'go-1', state: 'held', isOurs: false, transitions: 2, token: null },
      ],
    });
  });

  it('shows who asks', async () => {
    foreign();
    const [lease] = server.leases;
    server.put({
      metadata: { name: 'billing', annotations: { 'nestjs-leader/wanted-by': 'pod-9' } },
      spec: lease?.spec ?? {},
    });
    expect((await cli('status')).out).toContain('pod-9');
  });

  it('needs get on one Lease only, and says what is missing for all', async () => {
    await server.stop();
    await serve({ rules: [{ user: 'narrow', verbs: ['get'], resourceNames: ['billing'] }] });
    foreign();
    expect((await cli('status billing', {}, 'narrow')).code).toBe(0);
    const all = await cli('status', {}, 'narrow');
    expect(all.code).toBe(1);
    expect(all.err).toContain("does not permit list on leases.coordination.k8s.io in namespace 'default'");
    expect(all.err).toContain('verbs: ["list", "watch"]');
    expect(all.err).toContain(
      'With the name of a Lease, status needs get on that Lease alone: nestjs-leader status NAME',
    );
    expect((await cli('status -A', {}, 'narrow')).err).toContain('in a ClusterRole');
  });

  it('says that nothing can be read', async () => {
    server.faults.add({ when: { user: 'cut-off' }, do: 'dropRequest' });
    server.faults.add({ do: { answer: 401 } });
    expect(await cli('status')).toMatchObject({ code: 1, out: '' });
    const { code, err } = await cli('status', { env: {} }, 'cut-off');
    expect(code).toBe(1);
    expect(err).toMatch(/^error: The API server could not be reached to list leases .*LEADER_UNREACHABLE/);
    const missing = await runCommand(['status', '--kubeconfig', join(folder, 'none')]);
    expect(missing).toMatchObject({ code: 1 });
    expect(missing.err).toContain('LEADER_KUBECONFIG_INVALID');
  });

  it.each([
    ...[
      'status',
      'watch',
      'doctor billing',
      'step-down billing --yes',
      'rbac billing',
      'manifest billing --image i',
    ],
    'serve',
  ])(
    'an impossible namespace, an empty kubeconfig and an empty context send nothing: %s',
    async (command) => {
      const given = [...(command === 'serve' ? [] : ['-n', '--namespace']), '--namespace'].map((flag) => [
        flag,
        '../x',
      ]);
      if (!/^(rbac|manifest)/.test(command)) given.push(['--kubeconfig', '']);
      for (const words of given) {
        const { code, out, err } = await runCommand([...command.split(' '), ...words]);
        expect({ code, out }).toEqual({ code: 2, out: '' });
        expect(err).toMatch(/^error: --(namespace is '..\/x'|kubeconfig is empty)/);
      }
      expect(server.requests).toEqual([]);
    },
  );

  it('says what to give where there is no cluster', async () => {
    const { err, code } = await withoutCluster(() => runCommand(['status']));
    expect(code).toBe(1);
    expect(err).toContain('--kubeconfig FILE');
    expect(err).toContain('npx nestjs-leader serve');
    expect(err).not.toContain('enabled: false');
  });

  it.each(['status -A billing', 'status -A -n x', 'status ../x', 'status a b', 'statsu', 'status --jsn'])(
    'a wrong command line sends nothing: %s',
    async (command) => {
      const { code, err, out } = await cli(command);
      expect(code).toBe(2);
      expect(err).not.toBe('');
      expect(out).toBe('');
      expect(server.requests).toEqual([]);
    },
  );
});

describe('watch', () => {
  it('prints a line for each change, with the token of a term that it saw begin', async () => {
    foreign({ leaseDurationSeconds: 1 });
    const lines = (out: string): string[] => out.split('\n').slice(0, -1);
    let started: Promise<void> | undefined;
    const { out, code } = await cli('watch billing', {
      endWhen: (text) => {
        started ??= start('pod-1');
        return text.includes('pod-1');
      },
    });
    expect(code).toBe(0);
    expect(lines(out)[0]).toMatch(/^TIME +NAME +HOLDER +STATE +RENEWED +TERM AGE +TOKEN +TRANSITIONS /);
    expect(lines(out)[1]).toMatch(/^\S+Z +billing +go-1 +held /);
    await started;
    const token = server.leases[0]?.metadata.resourceVersion;
    expect(lines(out).at(-1)).toMatch(new RegExp(`billing +pod-1 +held .* ${String(token)} +3 `));
  });

  it('prints JSON, and tells of a deletion', async () => {
    foreign();
    const { out } = await cli('watch --json', {
      endWhen: (text) => {
        if (!text.includes('deleted')) queueMicrotask(() => server.delete('billing'));
        return text.includes('deleted');
      },
    });
    const events = out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { event: string });
    expect(events.map(({ event }) => event)).toEqual(['seen', 'deleted']);
  });

  it('writes the table of a terminal in place, and no wider than the terminal', async () => {
    foreign();
    const { out } = await cli('watch', {
      columns: 40,
      endWhen: (text) => {
        if (!text.includes('go-2'))
          queueMicrotask(() => {
            foreign({ holderIdentity: 'go-2' });
          });
        return text.includes('go-2');
      },
    });
    const [first, second] = out.split('\u001b[2A\u001b[J');
    expect(first).toContain('go-1');
    expect(second).toContain('go-2');
    expect(Math.max(...out.split('\n').map((line) => line.length))).toBeLessThanOrEqual(48);
  });

  it('shows no more lines than the terminal has, and all of a terminal that does not know its size', async () => {
    for (const name of ['a', 'b', 'c', 'd', 'e']) server.put({ metadata: { name }, spec: {} });
    const { out } = await cli('watch', { columns: 0, rows: 5, endWhen: () => true });
    const lines = out.trimEnd().split('\n');
    expect(lines).toHaveLength(4);
    expect(lines[1]).toMatch(/^a .*never held/);
    expect(lines[3]).toMatch(/^… and 3 more/);
    const small = await cli('watch', { rows: 3, columns: 80, endWhen: () => true });
    expect(small.out.trimEnd().split('\n')).toEqual([
      expect.stringMatching(/^NAME/),
      expect.stringMatching(/^a /),
    ]);
    const unknown = await cli('watch', { columns: 0, rows: 0, endWhen: () => true });
    expect(unknown.out.trimEnd().split('\n')).toHaveLength(6);
  });

  it('aligns the lines of many Leases', async () => {
    for (const name of ['a', 'b', 'a-long-name']) server.put({ metadata: { name }, spec: {} });
    const { out } = await cli('watch', { endWhen: () => true });
    const columns = out
      .trimEnd()
      .split('\n')
      .map((line) => line.search(/HOLDER|<none>/));
    expect(columns).toHaveLength(4);
    expect(new Set(columns).size).toBe(1);
  });

  it('reads every two seconds where it may not watch, and says so once', async () => {
    await server.stop();
    await serve({ rules: [{ user: 'narrow', verbs: ['get'] }] });
    foreign();
    const { out, err } = await cli(
      'watch billing',
      {
        endWhen: (text) => {
          if (!text.includes('go-2'))
            queueMicrotask(() => {
              foreign({ holderIdentity: 'go-2' });
            });
          return text.includes('go-2');
        },
      },
      'narrow',
    );
    expect(out).toContain('go-2');
    expect(err.match(/LEADER_FORBIDDEN/g)).toHaveLength(1);
  });
});

it.each([
  ['status billing', ['update'], 'get', '"get"'],
  ['watch billing', ['update'], 'get, watch', '"get", "watch"'],
  ['step-down billing --yes', ['get', 'watch'], 'get, update, watch', '"get", "update", "watch"'],
] as const)('names the verbs that the command needs: %s', async (command, verbs, needed, rule) => {
  await server.stop();
  await serve({ rules: [{ user: 'narrow', verbs }] });
  foreign();
  const { err, code } = await cli(command, {}, 'narrow');
  expect(code).toBe(1);
  expect(err).toContain(`needs ${needed} on that Lease`);
  expect(err).toContain('bound to whoever runs');
  expect(err).toContain(`verbs: [${rule}]`);
  expect(err).not.toContain('this pod');
});

describe('step-down', () => {
  it('makes another replica lead, and says which', async () => {
    await start('pod-1', 'startedLeading');
    await start('pod-2');
    const { out, code } = await cli('step-down billing --yes');
    expect(code).toBe(0);
    const [lease] = server.leases;
    expect(lease?.spec.holderIdentity).toBe('pod-2');
    expect(out).toMatch(
      /^Asked 'pod-1' to hand over the lease 'default\/billing'\.\nHanded over to 'pod-2' after /,
    );
    expect(lease?.metadata.annotations ?? {}).not.toHaveProperty('nestjs-leader/wanted-by');
  });

  it('asks before, and does nothing without a yes', async () => {
    await start('pod-1', 'startedLeading');
    const { out, code } = await cli('step-down billing', { answer: 'n' });
    expect(code).toBe(3);
    expect(out).toBe("Ask 'pod-1' to hand over the lease 'default/billing'? [y/N] ");
    await start('pod-2');
    expect((await cli('step-down billing', { answer: 'y' })).code).toBe(0);
  });

  it('refuses where nobody can answer', async () => {
    await start('pod-1', 'startedLeading');
    const { err, code } = await cli('step-down billing');
    expect(code).toBe(2);
    expect(err).toContain('give --yes');
  });

  it('says that no other replica took the lease', async () => {
    await start('pod-1', 'startedLeading', { retryPeriod: 100 });
    const { out, code } = await cli('step-down billing --yes --json');
    expect(code).toBe(3);
    expect(JSON.parse(out)).toMatchObject({ from: 'pod-1', kind: 'takenAgain' });
  });

  it('takes its request back from a holder that does not answer', async () => {
    foreign();
    const { out, code } = await cli('step-down billing --yes --timeout 300ms');
    expect(code).toBe(3);
    expect(out).toContain("'go-1' has not handed over within 0.3 s.");
    expect(out).toContain('another client');
    expect(server.leases[0]?.metadata.annotations ?? {}).not.toHaveProperty('nestjs-leader/wanted-by');
    expect(server.leases[0]?.spec.holderIdentity).toBe('go-1');
  });

  it('asks again when the holder renews at the same time', async () => {
    await start('pod-1', 'startedLeading');
    await start('pod-2');
    server.faults.add({ when: { verb: 'update' }, times: 2, do: { answer: 409 } });
    expect((await cli('step-down billing --yes')).code).toBe(0);
  });

  it('works without permission to watch', async () => {
    await server.stop();
    await serve({
      rules: [
        { user: 'narrow', verbs: ['get', 'update'] },
        { user: 'system:anonymous', verbs: ['*'] },
      ],
      tokens: { narrow: 'narrow' },
    });
    await start('pod-1', 'startedLeading');
    await start('pod-2');
    expect((await cli('step-down billing --yes', {}, 'narrow')).code).toBe(0);
  });

  it('looks once more when the time is over', async () => {
    foreign();
    server.faults.stallWatches({});
    const { out, code } = await cli('step-down billing --yes --timeout 300ms', {
      endWhen: (text) => {
        if (text.startsWith('Asked')) foreign({ holderIdentity: 'go-2' });
        return false;
      },
    });
    expect(out).toContain("Handed over to 'go-2' after");
    expect(code).toBe(0);
  });

  it('a request that is gone was not taken back by this command', async () => {
    foreign();
    server.faults.stallWatches({});
    const { out } = await cli('step-down billing --yes --timeout 300ms', {
      endWhen: (text) => {
        if (text.startsWith('Asked'))
          server.put({ metadata: { name: 'billing' }, spec: server.leases[0]?.spec ?? {} });
        return false;
      },
    });
    expect(out).toContain('removed the request and keeps the lease');
  });

  it('asks nobody whose lease has expired', async () => {
    foreign({ leaseDurationSeconds: 1 });
    let read = await cli('status billing');
    while (read.code === 0) read = await cli('status billing');
    const { out, err, code } = await cli('step-down billing --yes');
    expect({ out, code }).toEqual({ out: '', code: 3 });
    expect(err).toMatch(/'go-1' does not renew the lease 'default\/billing', which expired \d+s ago/);
    expect(server.requests.filter(({ method }) => method !== 'GET')).toEqual([]);
  });

  it('says that it was interrupted, and takes the request back', async () => {
    foreign();
    const { out, code } = await cli('step-down billing --yes', { endWhen: (text) => text.includes('Asked') });
    expect(out).toContain("Interrupted before 'go-1' handed over. The request was taken back");
    expect(out).not.toContain('within');
    expect(code).toBe(3);
    expect(server.leases[0]?.metadata.annotations ?? {}).not.toHaveProperty('nestjs-leader/wanted-by');
  });

  it('shows no control characters of others, in JSON as escapes', async () => {
    const holder = 'a\u001b[2J\u202Eb\nc\u009b';
    foreign({ holderIdentity: holder });
    const { out } = await cli('step-down billing --timeout 50ms', { answer: 'y' });
    expect(out).toContain("Ask 'a?[2J?b?c?' to hand over");
    expect(out).toContain("'a?[2J?b?c?' has not handed over");
    expect(out).not.toMatch(controls);
    for (const command of ['status billing --json', 'step-down billing --yes --json --timeout 50ms']) {
      const { out: json } = await cli(command);
      expect(json).not.toMatch(controls);
      expect(json).toContain('\\u202e');
      expect(JSON.stringify(JSON.parse(json))).toContain(JSON.stringify(holder));
    }
  });

  it('needs a holder', async () => {
    server.put({ metadata: { name: 'empty' } });
    expect(await cli('step-down empty --yes')).toMatchObject({ code: 3, out: '' });
    expect(await cli('step-down nope --yes')).toMatchObject({ code: 3, out: '' });
    expect(server.requests.filter(({ method }) => method !== 'GET')).toEqual([]);
  });
});

describe('doctor', () => {
  const levels = ({ out }: Ran): Record<string, string> =>
    Object.fromEntries(
      (JSON.parse(out) as { findings: { check: string; level: string }[] }).findings.map(
        ({ check, level }) => [check, level],
      ),
    );

  it('finds nothing wrong with an election that works, and leaves no Lease behind', async () => {
    await start('pod-1', 'startedLeading');
    const ran = await cli('doctor billing --observe 200ms --json', { env: {} });
    expect(levels(ran)).toEqual({
      ...{ 'api server': 'ok', permissions: 'ok', write: 'ok', watch: 'ok', timing: 'ok', clock: 'ok' },
      ...{ 'grace period': 'skip', fleet: 'ok' },
    });
    expect(ran.code).toBe(0);
    expect(server.leases.map(({ metadata }) => metadata.name)).toEqual(['billing']);
  });

  it('changes no Lease of others: a narrow Role is measured by dry runs', async () => {
    await server.stop();
    const verbs = ['get', 'create', 'update', 'watch'] as const;
    await serve({ rules: [{ user: 'narrow', verbs, resourceNames: ['billing'] }] });
    foreign({ holderIdentity: 'pod-1' });
    const before = server.leases;
    const { out, code } = await cli('doctor billing --observe 200ms', {}, 'narrow');
    expect(code).toBe(0);
    expect(out).toContain('in a dry run, so nothing was stored');
    expect(server.leases).toEqual(before);
  });

  it('says what is missing, with the rule that grants it', async () => {
    await server.stop();
    await serve({ rules: [{ user: 'narrow', verbs: ['get'], resourceNames: ['billing'] }] });
    foreign();
    const { out, code } = await cli('doctor billing --observe 200ms --events', {}, 'narrow');
    expect(code).toBe(3);
    expect(out).toMatch(/^fail {2}permissions /m);
    expect(out).toContain('create on events');
    expect(out).toMatch(/^fail {2}write /m);
    expect(out).toMatch(/^fail {2}watch /m);
  });

  it('notices a watch that is open and shows nothing', async () => {
    server.faults.stallWatches({});
    const { out, code } = await cli('doctor billing --observe 200ms');
    expect(code).toBe(3);
    expect(out).toContain('the event of a write did not come within 5 s');
  });

  it('a proxy that refuses watches is a finding about the watch alone, and nothing is said about the fleet', async () => {
    foreign();
    const proxy = await httpProxy(server.url, 'refuse');
    ends.push(() => proxy.close());
    const kubeconfig = join(folder, 'through-the-proxy.json');
    await writeFile(kubeconfig, server.kubeconfig().replaceAll(server.url, proxy.url));
    const ran = await runCommand([
      'doctor',
      'billing',
      '--observe',
      '200ms',
      '--json',
      '--kubeconfig',
      kubeconfig,
    ]);
    expect(levels(ran)).toMatchObject({ write: 'ok', watch: 'fail', fleet: 'skip' });
    expect(ran.out).toContain("Not checked: the Lease 'billing' could not be watched.");
  });

  it('says first where it ran, as whom, and which API server it asked', async () => {
    const [first = ''] = (await cli('doctor billing --observe 100ms')).out.split('\n');
    expect(first).toMatch(
      /^Asked by machine '.+' \(its clock: \d{4}-\d\d-\d\dT[\d:.]+Z\) as the user of this kubeconfig: the API server http:\/\/127\.0\.0\.1:\d+, namespace 'default'\.$/,
    );
    const { out } = await cli('doctor billing --observe 100ms --json');
    expect(JSON.parse(out)).toMatchObject({
      ok: true,
      askedBy: { account: 'the user of this kubeconfig', server: server.url },
    });
    server.faults.add({ do: { answer: 401 } });
    expect((await cli('doctor billing')).out).toMatch(/^Asked by .*\nfail {2}api server /);
  });

  it('does not print the password in the address of a kubeconfig', async () => {
    const kubeconfig = join(folder, 'with-a-password.json');
    const address = server.url.replace('http://', 'http://ann:s3cret@');
    await writeFile(kubeconfig, server.kubeconfig().replaceAll(server.url, address));
    const { out } = await runCommand(['doctor', 'billing', '--observe', '100ms', '--kubeconfig', kubeconfig]);
    expect(out).toContain(`the API server ${server.url}, `);
    expect(out).not.toMatch(/ann|s3cret/);
  });

  it.each([
    [200, 'It answered a read with status 200'],
    [404, "It answered a read with status 404 in .*: there is no Lease 'billing' yet"],
    [403, 'It answered a read with status 403 in .*: it is reached, but refuses to read the Lease'],
  ])('prints the status of the read: %i', async (status, text) => {
    if (status === 200) foreign();
    if (status === 403) server.faults.add({ when: { verb: 'get' }, do: { answer: 403 } });
    expect((await cli('doctor billing --observe 100ms')).out).toMatch(
      new RegExp(`^ok {4}api server {4}${text}`, 'm'),
    );
  });

  it('looks at the Lease of every slot', async () => {
    foreign();
    const { out } = await cli('doctor billing --slots 2 --observe 200ms');
    expect(out).toContain("Nobody holds the lease 'billing-0'.");
    expect(out).toContain("Nobody holds the lease 'billing-1'.");
  });

  it('advises the timing that fits a slow API server', async () => {
    server.faults.add({ when: { verb: 'update' }, do: { delayReplyMs: 150 } });
    const { out, code } = await cli('doctor billing --observe 100ms --timing fast --no-probe');
    expect(code).toBe(0);
    expect(out).toMatch(/^warn {2}timing /m);
    expect(out).toContain("timing: 'standard'");
  });

  it('takes options from the environment as the module does, flags first', async () => {
    foreign();
    const env = { LEADER_ELECTION_LEASE_NAME: 'billing', LEADER_ELECTION_LEASE_DURATION: '15s' };
    expect((await cli('doctor --observe 100ms', { env })).out).not.toContain('writes a duration');
    const other = await cli('doctor --observe 100ms --lease-duration 30s', { env });
    expect(other.out).toContain("'go-1' writes a duration of 15 s; leaseDuration here is 30 s.");
  });

  it('names variables where variables were given', async () => {
    const env = { LEADER_ELECTION_SLOTS: '0' };
    expect((await cli('doctor billing', { env })).err).toContain('LEADER_ELECTION_SLOTS is 0');
    const spread = { LEADER_ELECTION_SPREAD: 'true' };
    expect((await cli('doctor billing --coordinated', { env: spread })).err).toContain(
      'LEADER_ELECTION_SPREAD is true beside --coordinated',
    );
  });

  it.each([
    ['doctor', 'The name of the Lease is missing: give NAME, or set LEADER_ELECTION_LEASE_NAME.'],
    ['doctor billing --timing quick', "--timing is 'quick': it must be 'fast', 'standard' or 'patient'"],
    ['doctor billing --slots 0', '--slots is 0'],
    ['doctor billing --lease-duration 5s', '--renew-deadline'],
    ['doctor billing --also-lease billing', "--also-lease is 'billing', as NAME is"],
    ['doctor billing --coordinated --slots 2', '--slots is 2 beside --coordinated'],
    ['doctor billing --pod ../x', "--pod is '../x'"],
    ['doctor billing --service-account A:b', "--service-account is 'A:b'"],
    ['doctor billing --drain-timeout 3', '--drain-timeout is'],
    ['doctor billing --observe 3', 'It must be a duration with a unit'],
    ['doctor UPPER', 'UPPER'],
  ])('a mistake on the command line sends nothing: %s', async (command, message) => {
    const { err, code } = await cli(command);
    expect(code).toBe(2);
    expect(err).toContain(message);
    expect(server.requests).toEqual([]);
  });

  it('reports a server that does not answer as a finding', async () => {
    server.faults.add({ do: 'dropRequest' });
    const { out, code } = await cli('doctor billing');
    expect(code).toBe(1);
    expect(out).toMatch(
      /^fail {2}api server {4}The API server could not be reached .*\(LEADER_UNREACHABLE\)$/m,
    );
  });

  it('says by the code that the credentials are not accepted, and that an address is not that of an API server', async () => {
    const kubeconfig = join(folder, 'wrong-path.json');
    await writeFile(kubeconfig, server.kubeconfig().replaceAll(server.url, `${server.url}/wrong`));
    const { out, code } = await runCommand(['doctor', 'billing', '--kubeconfig', kubeconfig]);
    expect(out).toMatch(/^fail {2}api server {4}The server at this address does not serve leases/m);
    expect(code).toBe(1);
    server.faults.add({ do: { answer: 401 } });
    const refused = await cli('doctor billing');
    expect(refused.out).toContain('(LEADER_UNAUTHORIZED)');
    expect(refused.code).toBe(1);
  });

  it('says by the code that a write was not answered', async () => {
    server.faults.add({ when: { verb: 'create' }, do: 'dropRequest' });
    server.faults.add({ when: { verb: 'update' }, do: 'dropRequest' });
    const { out } = await cli('doctor billing --observe 50ms');
    expect(out).toMatch(
      /^fail {2}write {9}The API server could not be reached to update .*\(LEADER_UNREACHABLE\)$/m,
    );
  });

  it('fails a lease that has expired, by the clock of the API server', async () => {
    foreign({ holderIdentity: 'pod-gone', leaseDurationSeconds: 1 });
    const { out, code } = await cli(
      'doctor billing --observe 3s --lease-duration 1s --renew-deadline 700ms --retry-period 200ms --json',
    );
    expect(out).toContain("'pod-gone' has not renewed the lease 'billing' for ");
    expect(code).toBe(3);
  });

  it('gives no verdict when it is interrupted', async () => {
    foreign();
    const ran = await cli('doctor billing --observe 20s', { endWhen: (text) => text.includes('write') });
    expect(ran.code).toBe(1);
    expect(ran.err).toContain('Interrupted: the checks were cut short');
    expect(ran.out).not.toContain('fleet');
  });
});

describe('serve', () => {
  it('writes a kubeconfig that only its owner can read, and removes it at the end', async () => {
    const path = join(folder, 'leader.kubeconfig');
    const earlier = await LeaseApiServer.start();
    await writeFile(path, earlier.kubeconfig(), { mode: 0o644 });
    await earlier.stop();
    let seen: Promise<{ mode: number; text: string }> | undefined;
    const ran = await runCommand(['serve', '--kubeconfig', path, '-n', 'shop'], {
      endWhen: () => {
        seen ??= Promise.all([stat(path), readFile(path, 'utf8')]).then(([{ mode }, text]) => ({
          mode,
          text,
        }));
        return true;
      },
    });
    expect(ran.code).toBe(0);
    expect(ran.out).toContain(`KUBECONFIG='${path}' PORT=3000 npm start`);
    await expect(stat(path)).rejects.toThrow('ENOENT');
    await seen?.then(
      ({ mode }) => expect(mode & 0o777).toBe(0o600),
      () => undefined,
    );
  });

  it('leaves the kubeconfig of another serve alone while that one runs, and at its own end', async () => {
    const path = join(folder, 'leader.kubeconfig');
    await writeFile(path, server.kubeconfig());
    const { code, err } = await runCommand(['serve', '--kubeconfig', path]);
    expect(code).toBe(1);
    expect(err).toContain(`${path} is the kubeconfig of a serve that runs (${server.url})`);
    expect(await readFile(path, 'utf8')).toBe(server.kubeconfig());
    await rm(path);
    const ran = await runCommand(['serve', '--kubeconfig', path], {
      endWhen: () => {
        writeFileSync(path, server.kubeconfig());
        return true;
      },
    });
    expect(ran.code).toBe(0);
    expect(await readFile(path, 'utf8')).toBe(server.kubeconfig());
  });

  it('prints the file in quotes in which no shell replaces anything', async () => {
    const path = join(folder, "$(a) `b`'c");
    const { out } = await runCommand(['serve', '--kubeconfig', path], { endWhen: () => true });
    const [, word = ''] = /KUBECONFIG=(.*?) PORT/.exec(out) ?? [];
    expect(spawnSync('sh', ['-c', `printf %s ${word}`], { encoding: 'utf8' }).stdout).toBe(path);
  });

  it('leaves a kubeconfig alone that it did not write', async () => {
    const path = join(folder, 'config');
    await writeFile(path, 'apiVersion: v1\nkind: Config\n');
    const { code, err } = await runCommand(['serve', '--kubeconfig', path]);
    expect(code).toBe(1);
    expect(err).toContain('It is left as it is');
    expect(await readFile(path, 'utf8')).toContain('kind: Config');
  });
});
