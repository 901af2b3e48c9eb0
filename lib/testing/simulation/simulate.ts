import {
  refuseInvalid,
  resolveElectionOptions,
  type ElectionOptions,
  type ElectionTrace,
  type OptionRule,
} from '../../election/internal.js';
import { faultKinds, type FaultKind, type SimulatedFault } from './fault-kinds.js';
import type { FeatureKind } from './features.js';
import { Fleet, type FleetPlan } from './fleet.js';
import { ReachedMarks } from './marks.js';
import type { ServerClocks } from '../simulated-lease.js';
import type { Violation } from './witness.js';

/** The options of a simulation. */
export interface SimulationOptions {
  /** How many seeds to run. Default 1. */
  readonly seeds?: number | undefined;
  /** The first seed. Default 1. */
  readonly from?: number | undefined;
  /** The options of the election. Default: those of a production system, 15/10/2 s. */
  readonly election?: Partial<ElectionOptions> | undefined;
  /** The largest number of replicas. Default 9. */
  readonly size?: number | undefined;
  /** For how many leases faults occur with each seed. Default 20. */
  readonly leases?: number | undefined;
  /** Which kinds of fault may occur. Default: every kind. */
  readonly faults?: readonly FaultKind[] | undefined;
  /**
   * How slow and how fast a monotonic clock may run. Default: as far apart as leaseDuration ÷ renewDeadline allows,
   * less a little. Further apart, two processes can lead at once.
   */
  readonly rates?: readonly [slowest: number, fastest: number] | undefined;
  /** The clocks of the API servers, by which reads say how old a record is. Default: reads do not say it. */
  readonly serverClocks?: ServerClocks | undefined;
  /**
   * Returns a trace, such as `storyTeller()`, of the election of a process, by its name (`replica-1`). A process that has
   * several Leases has an election for each (`replica-1 on simulated-0`). Default: none. `trueTime` returns the milliseconds since the run
   * began, which are the times of `trace` and `violations`, too: clocks of processes differ.
   */
  readonly traceOf?: ((name: string, trueTime: () => number) => ElectionTrace) | undefined;
  /** Called with each fault. `at` is the true time. `process` is undefined if the fault is of the Lease, its server, or pods. */
  readonly onFault?: ((fault: SimulatedFault) => void) | undefined;
  /** Called after each seed. */
  readonly onSeed?: ((seed: SeedReport) => void) | undefined;
}

/** The result of one seed. */
export interface SeedReport {
  readonly seed: number;
  readonly steps: number;
  readonly terms: number;
  /** Faults injected, by kind. */
  readonly faults: ReadonlyMap<FaultKind, number>;
  /** What the fleet used besides a plain election. */
  readonly features: ReadonlySet<FeatureKind>;
  /** How often elections got into each of the situations that matter, by its description; 0: never. */
  readonly marks: ReadonlyMap<string, number>;
  readonly violations: readonly Violation[];
  /** What happened, one line for each step. Useful if there are violations. */
  readonly trace: readonly string[];
  /** Writes that were overwritten unread in a store without fencing. A store that checks fencing tokens loses none. */
  readonly lostWithoutFencing: number;
  /** Writes of ended terms that the store with fencing refused. */
  readonly refusedByFencing: number;
}

/** The result of all seeds. */
export interface SimulationReport {
  readonly seeds: number;
  readonly steps: number;
  readonly terms: number;
  readonly faults: ReadonlyMap<FaultKind, number>;
  /** How many fleets used each feature. */
  readonly features: ReadonlyMap<FeatureKind, number>;
  /** How often elections got into each of the situations that matter, by its description; 0: never. */
  readonly marks: ReadonlyMap<string, number>;
  /** The seeds in which a guarantee was broken. */
  readonly failed: readonly SeedReport[];
  readonly lostWithoutFencing: number;
  readonly refusedByFencing: number;
}

const DEFAULT_SIZE = 9;
const DEFAULT_LEASES = 20;
/** The part of the tolerated clock drift that is used. */
const SAFETY = 0.98;
/** One in so many seeds has contenders that behave like client-go. */
const MIXED_SEEDS = 4;

const WHOLE: OptionRule = [
  (value) => Number.isSafeInteger(value) && (value as number) >= 0,
  'it must be a whole number, 0 or more',
];

/**
 * Runs fleets of real electors through faults on simulated time, and checks from outside, after every step, what this
 * package guarantees (G1 to G7). The same seed gives the same run, step by step.
 *
 * @throws InvalidOptionsError `LEADER_INVALID_OPTIONS` if an option, or one of the election's, breaks a rule.
 */
export async function simulate(options: SimulationOptions = {}): Promise<SimulationReport> {
  const { from = 1, seeds = 1, size, leases, onSeed } = options;
  const numbers = { from, seeds, size, leases };
  refuseInvalid('The options of simulate()', numbers, {
    from: WHOLE,
    seeds: WHOLE,
    size: WHOLE,
    leases: WHOLE,
  });
  const faults = new Map<FaultKind, number>();
  const features = new Map<FeatureKind, number>();
  const marks = new Map(new ReachedMarks().counts);
  const failed: SeedReport[] = [];
  let [steps, terms, lostWithoutFencing, refusedByFencing] = [0, 0, 0, 0];
  for (let seed = from; seed < from + seeds; seed++) {
    const report = await simulateSeed(planOf(seed, options));
    steps += report.steps;
    terms += report.terms;
    lostWithoutFencing += report.lostWithoutFencing;
    refusedByFencing += report.refusedByFencing;
    for (const [kind, count] of report.faults) faults.set(kind, (faults.get(kind) ?? 0) + count);
    for (const kind of report.features) features.set(kind, (features.get(kind) ?? 0) + 1);
    for (const [mark, count] of report.marks) marks.set(mark, (marks.get(mark) ?? 0) + count);
    if (report.violations.length > 0) failed.push(report);
    onSeed?.(report);
  }
  return { seeds, steps, terms, faults, features, marks, failed, lostWithoutFencing, refusedByFencing };
}

async function simulateSeed(plan: FleetPlan): Promise<SeedReport> {
  const marks = new ReachedMarks();
  const fleet = new Fleet({
    ...plan,
    traceOf: (name, trueTime) => both(marks.trace(), plan.traceOf?.(name, trueTime)),
  });
  await fleet.run();
  return {
    seed: plan.seed,
    steps: fleet.steps,
    terms: fleet.terms,
    faults: fleet.faults,
    features: fleet.features.seen,
    marks: marks.counts,
    violations: fleet.violations,
    trace: fleet.trace,
    lostWithoutFencing: fleet.unguarded.lost,
    refusedByFencing: fleet.guarded.refused,
  };
}

function both(one: ElectionTrace, other: ElectionTrace | undefined): ElectionTrace {
  if (other === undefined) return one;
  return (...step) => {
    one(...step);
    other(...step);
  };
}

function planOf(seed: number, options: SimulationOptions): FleetPlan {
  const election = resolveElectionOptions(
    { leaseName: 'simulated', ...options.election },
    { leaseNamespace: 'default', identity: 'simulated' },
  );
  const tolerated = Math.sqrt((election.leaseDuration / election.renewDeadline) * SAFETY);
  return {
    seed,
    options: election,
    size: options.size ?? DEFAULT_SIZE,
    leases: options.leases ?? DEFAULT_LEASES,
    faults: options.faults ?? faultKinds,
    rates: options.rates ?? [1 / tolerated, tolerated],
    mixed: seed % MIXED_SEEDS === 0,
    serverClocks: options.serverClocks,
    traceOf: options.traceOf,
    onFault: options.onFault,
  };
}
