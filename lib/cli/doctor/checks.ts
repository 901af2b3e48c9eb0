/** What the doctor concludes from what it has seen. Pure: a table tests it. */
import { TIMINGS, type ResolvedElectionOptions } from '../../election/internal.js';
import type { LeaseFacts } from '../../kubernetes/internal.js';
import { ageText, viewOf } from '../lease-view.js';
import { plain } from '../terminal.js';
import { ms, seconds, type Finding } from './finding.js';
import type { Observed } from './observed.js';
import type { Measured } from './probe.js';
import type { Timed } from './requests.js';

type Times = Pick<
  ResolvedElectionOptions,
  'leaseDuration' | 'renewDeadline' | 'retryPeriod' | 'drainTimeout'
>;

/** Whether a watch shows what happens. */
export function watchCheck(measured: Measured | undefined, observed: Observed): Finding {
  const check = 'watch';
  const rule = 'A follower learns of a release by its watch; without it, it polls every retryPeriod.';
  if (observed.problem !== undefined) {
    const remedy =
      observed.problem.code === 'LEADER_FORBIDDEN'
        ? 'If permissions are not ok: grant watch on the Lease. If they are ok: a proxy or gateway on the way refuses ' +
          'watches. Let it pass GET …?watch=1, or reach the API server without it (NO_PROXY).'
        : 'Let the proxies, gateways and load balancers on the way pass a response that does not end, or reach the API server without them (NO_PROXY).';
    return { check, level: 'fail', seen: observed.problem.message, rule, remedy };
  }
  const remedy =
    'Something between here and the API server holds events back: let it pass responses through as they come, unbuffered.';
  const missing = measured?.events.some((event) => event === undefined) === true;
  if (missing) {
    const seen = 'The watch is open, but the event of a write did not come within 5 s.';
    return { check, level: 'fail', seen, rule, remedy };
  }
  if (measured !== undefined && measured.events.length > 0) {
    const slowest = Math.max(...measured.events.map((event) => event ?? 0));
    return {
      check,
      level: 'ok',
      seen: `It is open, and shows a write at most ${ms(slowest)} after it was sent.`,
    };
  }
  if (observed.openedMs === undefined)
    return { check, level: 'fail', seen: 'It did not open in time.', rule, remedy };
  if (observed.shownMs === undefined)
    return {
      check,
      level: 'ok',
      seen: `It opened after ${ms(observed.openedMs)}. There is no Lease to show.`,
    };
  return { check, level: 'ok', seen: `It opened, and showed the Lease after ${ms(observed.shownMs)}.` };
}

/** The chosen times against what a write takes. */
export function timingCheck({ writes, how }: Measured, { renewDeadline, retryPeriod }: Times): Finding {
  const slowest = Math.max(...writes);
  const needed = slowest * WRITES_IN_RETRY_PERIOD;
  const advised = (['fast', 'standard', 'patient'] as const).find(
    (timing) => needed <= TIMINGS[timing].retryPeriod,
  );
  const took =
    `${String(writes.length)} ${writes.length === 1 ? 'write' : 'writes'} took ${ms(median(writes))} (median) to ${ms(slowest)}` +
    (how === 'dryRun' ? ', without being stored (dry run)' : '');
  const chosen = `retryPeriod ${seconds(retryPeriod)}, renewDeadline ${seconds(renewDeadline)}`;
  if (needed <= retryPeriod && slowest < renewDeadline) {
    const fits =
      advised === undefined
        ? 'No choice of timing fits such writes.'
        : `The shortest timing that fits: '${advised}'.`;
    return { check: 'timing', level: 'ok', seen: `${took}; ${chosen}. ${fits}` };
  }
  return {
    check: 'timing',
    level: slowest >= renewDeadline ? 'fail' : 'warn',
    seen: `${took}. The chosen times are shorter than such writes need: ${chosen}.`,
    rule:
      `retryPeriod should be at least ${String(WRITES_IN_RETRY_PERIOD)} times the slowest write: a write without an answer is ` +
      `sent again after retryPeriod, and after renewDeadline the term ends.`,
    remedy:
      advised === undefined
        ? 'Find out why the API server is so slow: no election works on it.'
        : `Choose longer times: timing: '${advised}' (retryPeriod ${seconds(TIMINGS[advised].retryPeriod)}) is the shortest ` +
          `choice that fits. Who sets each time: retryPeriod at least ${ms(needed)}.`,
  };
}

const WRITES_IN_RETRY_PERIOD = 4;

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

/** How far two clocks may differ before the doctor speaks of it. */
const TOLERATED_MS = 2_000;

/** This machine's wall clock, and the holder's, against the API server's. */
export function clockCheck(
  { headers, sentOn, answeredOn }: Pick<Timed, 'headers' | 'sentOn' | 'answeredOn'>,
  lease: LeaseFacts | undefined,
): Finding {
  const check = 'clock';
  const date = typeof headers['date'] === 'string' ? Date.parse(headers['date']) : Number.NaN;
  if (Number.isNaN(date)) {
    const seen = 'The API server did not say what time it is (no Date in its answer).';
    return { check, level: 'skip', seen };
  }
  // The Date is cut to a second, and was set between the sending and the answer.
  const here = distance(0, sentOn - (date + 1_000), answeredOn - date);
  const renewed = lease?.renewTime === undefined ? Number.NaN : Date.parse(lease.renewTime);
  const holder =
    lease?.storedAt === undefined || Number.isNaN(renewed) || lease.holder === ''
      ? undefined
      : distance(0, renewed - (lease.storedAt + 1_000), renewed - lease.storedAt);
  const off = [
    ...(Math.abs(here) > TOLERATED_MS
      ? [`This machine's wall clock is ${apart(here)} the API server's.`]
      : []),
    ...(holder !== undefined && Math.abs(holder) > TOLERATED_MS
      ? [
          `The wall clock of the holder is ${apart(holder)} the API server's: it wrote a renewTime that differs.`,
        ]
      : []),
  ];
  if (off.length === 0) {
    const whose =
      holder === undefined
        ? "This machine's wall clock agrees"
        : 'The wall clocks here and of the holder agree';
    return { check, level: 'ok', seen: `${whose} with the API server's, as far as seconds show.` };
  }
  return {
    check,
    level: 'warn',
    seen: off.join(' '),
    rule:
      'No election compares clocks, but a wall clock that jumps ends a term early, other clients on the Lease may compare ' +
      'renewTime with their own clock, and tokens and certificates expire by it.',
    remedy:
      'Set the clock of that node right, forward or back, and let NTP or chrony keep it (docs/troubleshooting.md, LEADER_CLOCK_JUMPED).',
  };
}

/** How far `value` is outside `from` to `to`, with the sign of where the range lies. */
function distance(value: number, from: number, to: number): number {
  if (from > value) return from - value;
  return to < value ? to - value : 0;
}

function apart(by: number): string {
  return `${ms(Math.abs(by))} ${by > 0 ? 'ahead of' : 'behind'}`;
}

/** The grace period of the pod against what a hand-over may take. */
export function graceCheck(
  pod: { readonly name: string; readonly graceSeconds: number },
  { drainTimeout, renewDeadline, retryPeriod }: Times,
  isLabelled: boolean,
): Finding {
  const needed = drainTimeout + renewDeadline + (isLabelled ? retryPeriod : 0);
  const sum = `drainTimeout ${seconds(drainTimeout)} + renewDeadline ${seconds(renewDeadline)}${isLabelled ? ` + retryPeriod ${seconds(retryPeriod)} (for leaderPodLabels)` : ''}`;
  const seen = `terminationGracePeriodSeconds of pod '${pod.name}' is ${String(pod.graceSeconds)}; ${sum} is ${seconds(needed)}.`;
  if (pod.graceSeconds * 1_000 > needed) return { check: 'grace period', level: 'ok', seen };
  return {
    check: 'grace period',
    level: 'warn',
    seen,
    rule: 'The grace period should be longer: if SIGKILL comes before the release, the lease has to expire.',
    remedy: `Set terminationGracePeriodSeconds to ${String(Math.ceil(needed / 1_000) + 5)}, or drainTimeout lower.`,
  };
}

/** How many times the own duration a lease must last before it is reported. */
const LONG = 10;

/** What is known of the fleet besides its Lease. */
interface Fleet extends Pick<Times, 'leaseDuration'> {
  readonly isCoordinated: boolean;
  /** By the API server's clock; undefined if it did not say. */
  readonly serverNow: number | undefined;
}

/** What a Lease shows of the others: their durations, their names, their clients. */
export function fleetChecks(
  lease: string,
  observed: Pick<Observed, 'problem' | 'seen'> | undefined,
  { leaseDuration, isCoordinated, serverNow }: Fleet,
): Finding[] {
  const check = 'fleet';
  const { problem, seen = [] } = observed ?? {};
  if (problem !== undefined && seen.length === 0)
    return [{ check, level: 'skip', seen: `Not checked: the Lease '${lease}' could not be watched.` }];
  // Whoever may write a Lease may write anything into it.
  const held = seen
    .filter(({ holder }) => holder !== '')
    .map((each) => ({ ...each, holder: plain(each.holder), writer: each.writer && plain(each.writer) }));
  const last = held.at(-1);
  if (last === undefined) return [{ check, level: 'skip', seen: `Nobody holds the lease '${lease}'.` }];
  const holders = [...new Set(held.map(({ holder }) => holder))];
  const renewals = new Set(held.map(({ renewTime }) => renewTime)).size - 1;
  const findings = [...expiryFindings(lease, last, serverNow), ...durationFindings(held, leaseDuration)];
  if (holders.length > 2)
    findings.push({
      check,
      level: 'warn',
      seen: `The lease changed hands ${String(holders.length - 1)} times in this short time: ${holders.map((each) => `'${each}'`).join(', ')}.`,
      rule: 'A term lasts until a deploy or a crash.',
      remedy:
        'Look for LEADER_ errors in the logs: a blocked event loop, a slow API server, no CPU, two fleets on one Lease.',
    });
  const claims = new Set(
    held.filter(({ holder }) => holder === last.holder).map(({ acquireTime }) => acquireTime),
  );
  if (claims.size > 1 && holders.length === 1)
    findings.push({
      check,
      level: 'warn',
      seen: `'${last.holder}' claimed the lease ${String(claims.size - 1)} times while it was watched.`,
      rule: 'Each process needs an identity of its own.',
      remedy: 'Remove identity from the options, or make it unique, for example the name of the pod.',
    });
  findings.push(...strategyFindings(lease, last, isCoordinated));
  if (!last.isOurs)
    findings.push({
      check,
      level: 'warn',
      seen: `'${last.holder}' is not a process of nestjs-leader: the record was written by '${last.writer ?? 'an unknown client'}' (the name in managedFields).`,
      rule: 'Another client on the Lease is fine if you mean it to be there (docs/other-clients.md).',
      remedy: 'If not: give one of the two fleets another leaseName.',
    });
  if (findings.some(({ level }) => level !== 'ok')) return findings;
  return [
    {
      check,
      level: 'ok',
      seen: `'${last.holder}' holds the lease '${lease}', and renewed it ${String(renewals)} time${renewals === 1 ? '' : 's'} while it was watched. Only its times can be compared: followers do not show on a Lease.`,
    },
    ...findings,
  ];
}

function expiryFindings(lease: string, last: LeaseFacts, serverNow: number | undefined): Finding[] {
  const { state, renewedAgoMs } = viewOf(last, { serverNow });
  if (state !== 'expired') return [];
  return [
    {
      check: 'fleet',
      level: 'fail',
      seen:
        `'${last.holder}' has not renewed the lease '${lease}' for ${ageText(renewedAgoMs)}, by the API server's clock: it has ` +
        `expired, and nobody has taken it.`,
      rule: 'The holder renews the lease within its duration; one that has expired is taken by whichever replica campaigns.',
      remedy:
        'See that replicas run, may lead (campaign) and reach the API server: look for LEADER_ errors in their logs.',
    },
  ];
}

function durationFindings(held: readonly LeaseFacts[], leaseDuration: number): Finding[] {
  const check = 'fleet';
  const findings: Finding[] = [];
  const others = held.filter(
    ({ durationSeconds }) => durationSeconds !== undefined && durationSeconds * 1_000 !== leaseDuration,
  );
  const [other] = others;
  if (other?.durationSeconds !== undefined) {
    const isLong = other.durationSeconds * 1_000 > LONG * leaseDuration;
    findings.push({
      check,
      level: 'warn',
      seen: `'${other.holder}' writes a duration of ${String(other.durationSeconds)} s; leaseDuration here is ${seconds(leaseDuration)}.`,
      rule: isLong
        ? 'A holder is respected for the duration that it wrote: while it is gone, nobody leads for that long.'
        : 'All replicas should have the same timing. Meanwhile each respects the duration that the holder wrote. A rollout that ' +
          'changes it has two steps (docs/operations.md, "Rolling updates, drains, clocks").',
      remedy: isLong
        ? 'If it is a mistake: docs/operations.md, "A lease that is kept for too long".'
        : 'Compare the options of the replicas, or give the doctor those that they have.',
    });
  }
  const durations = new Set(held.map(({ durationSeconds }) => durationSeconds));
  if (durations.size > 1)
    findings.push({
      check,
      level: 'warn',
      seen: `The Lease was written with ${String(durations.size)} durations: ${[...durations].map((each) => `${String(each)} s`).join(', ')}.`,
      rule: 'All replicas should have the same timing.',
      remedy: 'Compare the options of the replicas.',
    });
  return findings;
}

function strategyFindings(lease: string, last: LeaseFacts, isCoordinated: boolean): Finding[] {
  const check = 'fleet';
  if (last.strategy !== undefined) {
    const seen = `The API server chooses the holder (strategy ${plain(last.strategy)}): a coordinated election.`;
    return [
      isCoordinated
        ? { check, level: 'ok', seen }
        : {
            check,
            level: 'warn',
            seen,
            rule: 'All who campaign for a Lease should be coordinated, or none.',
            remedy:
              'If the application has the option coordinated: give the doctor --coordinated. If not: take another leaseName.',
          },
    ];
  }
  if (!isCoordinated) return [];
  return [
    {
      check,
      level: 'warn',
      seen: `The Lease '${lease}' has no strategy: the API server does not choose its holder.`,
      rule: 'All who campaign for a Lease should be coordinated, or none.',
      remedy:
        'If the application has no option coordinated: leave --coordinated out. If it has: docs/coordinated-election.md.',
    },
  ];
}
