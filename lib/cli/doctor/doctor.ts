import { hostname } from 'node:os';
import { fieldsOf, isLeaderError, systemClock, type LeaderError } from '../../election/internal.js';
import {
  LEASES,
  PODS,
  Preflight,
  factsOf,
  failure,
  isInCluster,
  jsonIn,
  ownPod,
  pathOf,
  reading,
  refusal,
  saysNoLease,
  type ElectionNeeds,
} from '../../kubernetes/internal.js';
import { Cluster, shownError, type ClusterFlags } from '../cluster.js';
import { electionGiven, type ElectionGiven } from '../election-flags.js';
import { EXIT, json, type ExitCode, type Terminal } from '../terminal.js';
import { clockCheck, fleetChecks, graceCheck, timingCheck, watchCheck } from './checks.js';
import { ms, type Finding } from './finding.js';
import { observe, type Observed } from './observed.js';
import { dryRun, mayProbe, probe, temporaryName, type Measured } from './probe.js';
import { timed, type Timed } from './requests.js';

/** The options of {@link doctor}. */
export interface DoctorFlags extends ClusterFlags {
  readonly json?: boolean;
  readonly pod?: string;
  readonly serviceAccount?: string;
  readonly coordinated?: boolean;
  /** Milliseconds. */
  readonly observe: number;
  /** False: no temporary Lease. */
  readonly probe: boolean;
}

/** Checks what an election with these options needs, and what its Lease shows. */
export async function doctor(
  terminal: Terminal,
  name: string | undefined,
  flags: DoctorFlags,
  election: ReadonlyMap<string, string>,
): Promise<ExitCode> {
  // Before anything is sent: a mistake on the command line is no finding.
  const words = { name, flags: election, coordinated: flags.coordinated === true };
  electionGiven(words, terminal.env, flags.namespace ?? 'default');
  const report = new Report(terminal, flags.json === true);
  let cluster: Cluster | undefined;
  try {
    cluster = await Cluster.connect(flags);
    const { namespace } = cluster;
    const given = electionGiven(words, terminal.env, flags.namespace ?? namespace);
    await new Doctor(terminal, cluster, given, flags, report).examine();
  } catch (error) {
    if (!isLeaderError(error)) throw error;
    report.add({ check: 'cluster', level: 'fail', seen: shownError(error) });
    report.isUnreached = true;
  } finally {
    cluster?.close();
  }
  return report.end();
}

class Doctor {
  readonly #terminal: Terminal;
  readonly #cluster: Cluster;
  readonly #given: ElectionGiven;
  readonly #flags: DoctorFlags;
  readonly #report: Report;
  readonly #namespace: string;
  readonly #lease: string;

  constructor(
    terminal: Terminal,
    cluster: Cluster,
    given: ElectionGiven,
    flags: DoctorFlags,
    report: Report,
  ) {
    this.#terminal = terminal;
    this.#cluster = cluster;
    this.#given = given;
    this.#flags = flags;
    this.#report = report;
    this.#namespace = given.options.leaseNamespace;
    // Writes, permissions and clocks are the same for all.
    this.#lease = given.leases[0] ?? given.options.leaseName;
  }

  async examine(): Promise<void> {
    const { finding, answer } = await this.#reach();
    // Only now is the address known that the credentials name.
    this.#report.begin(this.#asker());
    this.#report.add(finding);
    if (answer === undefined) {
      this.#report.isUnreached = true;
      return;
    }
    await this.#permissions();
    const { options } = this.#given;
    const measured = await this.#measure();
    const observed = await Promise.all(this.#given.leases.map((lease) => this.#observe(lease)));
    const first = observed.find(({ problem }) => problem !== undefined) ?? observed[0];
    if (first !== undefined) this.#report.add(watchCheck(measured, first));
    if (measured !== undefined) this.#report.add(timingCheck(measured, options));
    this.#report.add(clockCheck(answer, observed[0]?.seen[0]));
    await this.#grace();
    const fleet = {
      ...options,
      isCoordinated: this.#flags.coordinated === true,
      serverNow: serverNow(answer),
    };
    for (const [index, lease] of this.#given.leases.entries())
      for (const finding of fleetChecks(lease, observed[index], fleet)) this.#report.add(finding);
  }

  /** Reads the Lease. No answer: nothing else can be checked. */
  async #reach(): Promise<{ finding: Finding; answer?: Timed }> {
    const check = 'api server';
    const where = { namespace: this.#namespace, name: this.#lease };
    const context = { verb: 'get', resource: LEASES, ...where } as const;
    try {
      const path = pathOf(LEASES, 'v1', where);
      // The first request opens the connection.
      await timed(this.#cluster.connection, { method: 'GET', path }, this.#terminal.signal);
      const answer = await timed(this.#cluster.connection, { method: 'GET', path }, this.#terminal.signal);
      if (answer.status === 200) reading(context, () => factsOf(jsonIn(answer, context)));
      // Any other 404 is not about the Lease.
      if ([200, 403].includes(answer.status) || saysNoLease(answer)) {
        const means =
          answer.status === 404
            ? `: there is no Lease '${this.#lease}' yet`
            : answer.status === 403
              ? ': it is reached, but refuses to read the Lease'
              : '';
        const seen = `It answered a read with status ${String(answer.status)} in ${ms(answer.ms)}${means}.`;
        return { finding: { check, level: 'ok', seen }, answer };
      }
      throw refusal(answer, context);
    } catch (error) {
      return { finding: { check, level: 'fail', seen: shownError(failure(error, context)) } };
    }
  }

  /** Whose clock and credentials the findings are about. */
  #asker(): Asker {
    const { env } = this.#terminal;
    const isPod = isInCluster(env);
    return {
      host: isPod ? `pod '${ownPod(this.#namespace, env).name}'` : `machine '${hostname()}'`,
      time: new Date(systemClock.date()).toISOString(),
      account: this.#usesPodAccount ? 'the service account of this pod' : 'the user of this kubeconfig',
      server: withoutCredentials(this.#cluster.connection.lastAccess?.server),
      namespace: this.#namespace,
    };
  }

  get #usesPodAccount(): boolean {
    const { kubeconfig, context } = this.#flags;
    return kubeconfig === undefined && context === undefined && isInCluster(this.#terminal.env);
  }

  async #permissions(): Promise<void> {
    const check = 'permissions';
    const { serviceAccount } = this.#flags;
    const [namespace, pod] = [this.#namespace, ownPod(this.#namespace)];
    const isLabelled = Object.keys(this.#given.leaderPodLabels).length > 0;
    const needs: ElectionNeeds = {
      namespace,
      leases: this.#given.leases,
      mayLead: this.#given.mayLead,
      candidate: this.#flags.coordinated === true ? 'candidate' : undefined,
      events: this.#given.events,
      pod: isLabelled ? pod : undefined,
      watchedPod: this.#given.watchesPods ? pod : undefined,
    };
    const who =
      serviceAccount === undefined
        ? this.#usesPodAccount
          ? "this pod's service account"
          : 'the user of this kubeconfig (for a service account: --service-account NAME)'
        : `the service account '${serviceAccount}'`;
    const subject =
      serviceAccount === undefined
        ? undefined
        : {
            user: `system:serviceaccount:${namespace}:${serviceAccount}`,
            groups: ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, 'system:authenticated'],
          };
    try {
      const missing = await new Preflight(this.#cluster.connection, needs, subject).missing();
      this.#report.add(
        missing === undefined
          ? { check, level: 'ok', seen: `All that the options need is granted to ${who}.` }
          : {
              check,
              level: 'fail',
              seen: `Missing for ${who}: ${missing.message}`,
              remedy: 'npx nestjs-leader rbac prints a Role.',
            },
      );
    } catch (error) {
      this.#report.add({ check, level: 'skip', seen: `The API server was not asked: ${shownError(error)}` });
    }
  }

  /** Measures writes, and reports whether they work. */
  async #measure(): Promise<Measured | undefined> {
    const check = 'write';
    const [{ connection }, { signal }] = [this.#cluster, this.#terminal];
    const temporary = temporaryName();
    const isStored =
      this.#flags.probe && (await mayProbe(connection, this.#namespace, temporary).catch(() => false));
    try {
      const measured = isStored
        ? await probe(connection, this.#namespace, temporary, signal)
        : await dryRun(connection, this.#namespace, this.#lease, signal);
      const how = isStored
        ? `on the Lease '${temporary}', which was created for that and is deleted`
        : `on the Lease '${this.#lease}' in a dry run, so nothing was stored`;
      this.#report.add({ check, level: 'ok', seen: `Writes work: ${how}.` });
      return measured;
    } catch (error) {
      const name = isStored ? temporary : this.#lease;
      const request = { verb: 'update', resource: LEASES, name, namespace: this.#namespace } as const;
      this.#report.add({ check, level: 'fail', seen: shownError(failure(error, request)) });
      return undefined;
    }
  }

  async #observe(lease: string): Promise<Observed> {
    return observe(
      this.#cluster.observer(lease, this.#namespace),
      this.#flags.observe,
      this.#terminal.signal,
    );
  }

  async #grace(): Promise<void> {
    const check = 'grace period';
    const { env, signal } = this.#terminal;
    const own = isInCluster(env) || env['POD_NAME'] ? ownPod(this.#namespace, env) : undefined;
    const pod = this.#flags.pod === undefined ? own : { name: this.#flags.pod, namespace: this.#namespace };
    if (pod === undefined) {
      const seen = 'Not checked: no pod is known here. Give one: --pod NAME.';
      this.#report.add({ check, level: 'skip', seen });
      return;
    }
    const request = { verb: 'get', resource: PODS, ...pod } as const;
    try {
      const answer = await timed(
        this.#cluster.connection,
        { method: 'GET', path: pathOf(PODS, 'v1', pod) },
        signal,
      );
      if (answer.status !== 200) throw refusal(answer, request);
      const given = fieldsOf(fieldsOf(jsonIn(answer, request))?.['spec'])?.['terminationGracePeriodSeconds'];
      const graceSeconds = typeof given === 'number' ? given : 30;
      const isLabelled = Object.keys(this.#given.leaderPodLabels).length > 0;
      this.#report.add(graceCheck({ name: pod.name, graceSeconds }, this.#given.options, isLabelled));
    } catch (error) {
      // Only the API server itself says that a pod does not exist.
      if (this.#flags.pod !== undefined && isLeaderError(error, 'LEADER_REQUEST_INVALID')) {
        const remedy = `kubectl get pods -n ${pod.namespace} lists those that there are.`;
        this.#report.add({ check, level: 'fail', seen: error.message, remedy });
        return;
      }
      this.#report.add({
        check,
        level: 'skip',
        seen: `Not checked: ${notSeen(failure(error, request), pod.name)}`,
      });
    }
  }
}

/** An address may contain a user and a password. */
function withoutCredentials(server: string | undefined): string | null {
  if (server === undefined) return null;
  const { origin, pathname } = new URL(server);
  return pathname === '/' ? origin : origin + pathname;
}

/** Now by the API server's clock; undefined if it did not say what time it is. */
function serverNow({ headers, answeredAt }: Timed): number | undefined {
  const date = typeof headers['date'] === 'string' ? Date.parse(headers['date']) : Number.NaN;
  return Number.isNaN(date) ? undefined : date + (systemClock.now() - answeredAt);
}

/** The election itself needs no `get` on pods, so that is no mistake. */
function notSeen(error: LeaderError, pod: string): string {
  return error.code === 'LEADER_FORBIDDEN'
    ? `this account may not read the pod '${pod}' (get on pods), which an election does not need either.`
    : shownError(error);
}

/** Where the doctor ran, and whom it asked. */
interface Asker {
  /** The pod or machine. */
  readonly host: string;
  /** By its wall clock, ISO 8601. */
  readonly time: string;
  /** Whose credentials every request had. */
  readonly account: string;
  /** The address of the API server. Null if no request could be sent. */
  readonly server: string | null;
  readonly namespace: string;
}

/** The findings, which are printed as they come, or at the end as JSON. */
class Report {
  readonly #terminal: Terminal;
  readonly #json: boolean;
  readonly #findings: Finding[] = [];
  #asker: Asker | undefined;
  /** Whether the API server could not be asked, so that nothing was checked. */
  isUnreached = false;

  constructor(terminal: Terminal, json: boolean) {
    this.#terminal = terminal;
    this.#json = json;
  }

  begin(asker: Asker): void {
    this.#asker = asker;
    if (this.#json) return;
    const { host, time, account, server, namespace } = asker;
    const asked = server === null ? 'no API server yet' : `the API server ${server}`;
    this.#terminal.write(
      `Asked by ${host} (its clock: ${time}) as ${account}: ${asked}, namespace '${namespace}'.\n`,
    );
  }

  add(finding: Finding): void {
    // A check that was cut short has found nothing.
    if (this.#terminal.signal.aborted) return;
    this.#findings.push(finding);
    if (this.#json) return;
    const { check, level, seen, rule, remedy } = finding;
    const indent = ' '.repeat(6 + 14);
    const indented = (text: string): string => text.replaceAll('\n', `\n${indent}`);
    this.#terminal.write(`${level.padEnd(6)}${check.padEnd(14)}${indented(seen)}\n`);
    if (rule !== undefined) this.#terminal.write(`${indent}Rule: ${indented(rule)}\n`);
    if (remedy !== undefined) this.#terminal.write(`${indent}Do:   ${indented(remedy)}\n`);
  }

  end(): ExitCode {
    if (this.#terminal.signal.aborted) {
      this.#terminal.warn('Interrupted: the checks were cut short, so there is no verdict.');
      return EXIT.error;
    }
    const failed = this.#findings.some(({ level }) => level === 'fail');
    if (this.#json)
      this.#terminal.write(`${json({ ok: !failed, askedBy: this.#asker, findings: this.#findings }, 2)}\n`);
    if (this.isUnreached) return EXIT.error;
    return failed ? EXIT.no : EXIT.ok;
  }
}
