import { InvalidOptionsError, kindOf, show, type LeaseLock } from '../../election/internal.js';
import type { LeaderElectionModuleOptions } from './module-options.js';

/**
 * A lock of your own, or a function that makes it. It is called once for each lease when the application starts: with
 * `leaseName`, with the name of each slot, or with `leaseName` and `alsoLease`. The application does not start if it throws; so it
 * should not wait for its server, which may be down.
 */
export type LockOption = LeaseLock | ((leaseName: string) => LeaseLock | Promise<LeaseLock>);

const LOCK_RULE =
  'it must be a LeaseLock, an object with the functions describe, get, create and update, or a function that returns one';
const REQUIRED = ['describe', 'get', 'create', 'update'];
const OPTIONAL = ['watch', 'close'];

function isLock(value: unknown): value is LeaseLock {
  return typeof value === 'object' && value !== null && memberAmiss(value) === undefined;
}

/** The first member by which an object is no lock. */
function memberAmiss(value: object): string | undefined {
  return [...REQUIRED, ...OPTIONAL].find((name) => {
    const member: unknown = Reflect.get(value, name);
    return typeof member !== 'function' && (member !== undefined || REQUIRED.includes(name));
  });
}

/** What was given instead of a lock. The value is not shown: it may contain credentials. */
function shown(value: unknown): string {
  const name = typeof value === 'object' && value !== null ? memberAmiss(value) : undefined;
  if (name === undefined) return kindOf(value);
  return `${kindOf(value)} whose ${name} is ${kindOf(Reflect.get(value as object, name))}`;
}

/** Options of a cluster: what they ask for, if they ask for anything, and why a lock of one's own cannot do it. */
const NOT_BESIDE: Readonly<
  Partial<
    Record<keyof LeaderElectionModuleOptions, readonly [asks: (value: unknown) => boolean, why: string]>
  >
> = {
  kubernetes: [() => true, 'no API server is asked'],
  leaseNamespace: [() => true, 'the lock itself knows where its lease is'],
  labels: [isFilled, 'only a Lease of an API server has labels'],
  ownerReference: [() => true, 'only a Lease of an API server has owners'],
  coordinated: [() => true, 'only an API server chooses leaders'],
  events: [(value) => value === true, 'Events are written about a Lease of an API server'],
  leaderPodLabels: [isFilled, 'the connection to the API server that labels the pod is missing'],
  preflight: [(value) => value !== 'off', 'it checks permissions of an API server'],
  releaseAtExit: [(value) => value === true, 'what is sent at the exit goes to an API server'],
  serverClockMargin: [() => true, 'it is about the clocks of API servers'],
  takeover: [(value) => value === 'podStatus', 'the connection to the API server that shows pods is missing'],
};

function isFilled(value: unknown): boolean {
  return typeof value !== 'object' || value === null || Object.keys(value).length > 0;
}

/** The rules that the option breaks, by itself and together with the other options. */
export function lockViolations(options: LeaderElectionModuleOptions): string[] {
  const { lock, slots = 1, alsoLease } = options;
  if (lock === undefined) return [];
  const given: Readonly<Record<string, unknown>> = { ...options };
  const several = slots === 1 ? [] : [`slots is ${show(slots)}`];
  if (alsoLease !== undefined) several.push(`alsoLease is ${show(alsoLease)}`);
  return [
    ...(typeof lock === 'function' || isLock(lock) ? [] : [`lock is ${shown(lock)}: ${LOCK_RULE}`]),
    ...(typeof lock === 'function'
      ? []
      : several.map(
          (what) => `${what} beside one lock: each lease needs its own; let lock be a function of its name`,
        )),
    ...Object.entries(NOT_BESIDE)
      .filter(([name, [asks]]) => given[name] !== undefined && asks(given[name]))
      .map(([name, [, why]]) => `${name} is given beside lock: ${why}; leave out one of the two`),
  ];
}

/**
 * The locks of an election, by the names of their leases.
 *
 * @throws InvalidOptionsError if the function returned anything but a lock for each.
 */
export async function locksIn(
  lock: LockOption,
  leaseNames: readonly string[],
  whose: string,
): Promise<ReadonlyMap<string, LeaseLock>> {
  const locks = new Map<string, LeaseLock>();
  for (const name of leaseNames) {
    const made: unknown = typeof lock === 'function' ? await lock(name) : lock;
    if (!isLock(made))
      throw new InvalidOptionsError([`lock returned ${shown(made)} for '${name}': ${LOCK_RULE}`], whose);
    for (const [other, known] of locks) {
      if (known.describe() !== made.describe()) continue;
      const twice = `lock returned locks with one description, ${made.describe()}, for '${other}' and '${name}'`;
      throw new InvalidOptionsError(
        [`${twice}: each lease needs a lock and a description of its own`],
        whose,
      );
    }
    locks.set(name, made);
  }
  return locks;
}
