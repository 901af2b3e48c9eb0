import { fieldsOf, show } from '../../election/internal.js';
import type { CoordinatedOptions, LeaderElectionModuleOptions } from './module-options.js';

const OLDEST = 'OldestEmulationVersion';

/** The API server's rule for the name of a LeaseCandidate; the identity is used as the name. */
const candidateName = /^(?!\.\.)(?!\.$)[-._a-zA-Z0-9]{1,253}$/;
const ownStrategy = /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?\/[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/;
const known: readonly string[] = ['binaryVersion', 'emulationVersion', 'strategy'];

/** The option `coordinated` with its defaults. */
export function candidateSpec({
  binaryVersion,
  emulationVersion = binaryVersion,
  strategy = OLDEST,
}: CoordinatedOptions): Record<keyof CoordinatedOptions, string> {
  return { binaryVersion, emulationVersion, strategy };
}

/** For how many milliseconds an elector tries to withdraw its candidate: until an answer has been overdue twice. */
export function longestWithdrawal(retryPeriod: number): number {
  return 2 * Math.max(retryPeriod, 1_000);
}

/** The rules that the option breaks, by itself and together with the other options. */
export function coordinatedViolations(options: LeaderElectionModuleOptions): string[] {
  const { coordinated, identity, slots, spread, alsoLease, takeover }: Readonly<Record<string, unknown>> = {
    ...options,
  };
  if (coordinated === undefined) return [];
  const fields = fieldsOf(coordinated, known);
  if (fields === undefined)
    return [`coordinated is ${show(coordinated)}: it must be an object with a binaryVersion`];
  const violations = ownViolations(fields);
  if (identity !== undefined && !(typeof identity === 'string' && candidateName.test(identity))) {
    violations.push(
      `identity is ${show(identity)}: with coordinated it is the name of a LeaseCandidate and must consist of letters, ` +
        `digits, '-', '_' and '.', at most 253 characters`,
    );
  }
  if (typeof slots === 'number' && slots > 1)
    violations.push(`slots is ${show(slots)} beside coordinated: a coordinated election has one leader`);
  if (alsoLease !== undefined)
    violations.push(`alsoLease is ${show(alsoLease)} beside coordinated: the API server assigns one Lease`);
  if (spread === true)
    violations.push(
      `spread is true beside coordinated: the API server chooses the leader by version, so elections cannot be spread`,
    );
  if (takeover === 'sameContainer' || takeover === 'podStatus')
    violations.push(
      `takeover is ${show(takeover)} beside coordinated: the API server chooses who takes over, when the lease has expired; ` +
        `leave takeover out`,
    );
  return violations;
}

function ownViolations(coordinated: Readonly<Record<string, unknown>>): string[] {
  const { binaryVersion, emulationVersion, strategy } = coordinated;
  const violations = Object.keys(coordinated)
    .filter((name) => !known.includes(name))
    .map((name) => `coordinated.${name}: there is no such option; the options are ${known.join(', ')}`);
  if (!isSemanticVersion(binaryVersion)) violations.push(notAVersion('binaryVersion', binaryVersion));
  if (emulationVersion !== undefined && !isSemanticVersion(emulationVersion))
    violations.push(notAVersion('emulationVersion', emulationVersion));
  if (
    isSemanticVersion(binaryVersion) &&
    isSemanticVersion(emulationVersion) &&
    compareVersions(emulationVersion, binaryVersion) > 0
  ) {
    violations.push(
      `coordinated.emulationVersion is ${show(emulationVersion)} and binaryVersion ${show(binaryVersion)}: a program ` +
        `emulates its own version or an older one`,
    );
  }
  const fits = strategy === OLDEST || (typeof strategy === 'string' && ownStrategy.test(strategy));
  if (strategy !== undefined && !fits) {
    violations.push(
      `coordinated.strategy is ${show(strategy)}: it must be '${OLDEST}', or 'domain/name' for one of ` +
        `your own`,
    );
  }
  return violations;
}

function notAVersion(name: string, value: unknown): string {
  return (
    `coordinated.${name} is ${show(value)}: it must be a semantic version of three numbers without a 'v', such as ` +
    `'1.30.0' or '2.0.0-rc.1'`
  );
}

// Semantic versions, without a `v`: https://semver.org

const versionNumber = '(?:0|[1-9]\\d*)';
const versionIdentifier = `(?:${versionNumber}|\\d*[a-zA-Z-][0-9a-zA-Z-]*)`;
const versionPattern = new RegExp(
  `^(${versionNumber})\\.(${versionNumber})\\.(${versionNumber})(?:-(${versionIdentifier}(?:\\.${versionIdentifier})*))?(?:\\+[0-9A-Za-z-]+(?:\\.[0-9A-Za-z-]+)*)?$`,
);

export function isSemanticVersion(value: unknown): value is string {
  return typeof value === 'string' && versionPattern.test(value);
}

/** Compares the precedence of two semantic versions: below 0 if `a` is lower than `b`, above 0 if it is higher, 0 if they are equal. */
export function compareVersions(a: string, b: string): number {
  const [, ...left] = versionPattern.exec(a) ?? [];
  const [, ...right] = versionPattern.exec(b) ?? [];
  const core = compareLists(left.slice(0, 3), right.slice(0, 3));
  if (core !== 0) return core;
  // A version with a pre-release comes before the one without.
  if (left[3] === undefined || right[3] === undefined)
    return Number(right[3] !== undefined) - Number(left[3] !== undefined);
  return compareLists(left[3].split('.'), right[3].split('.'));
}

function compareLists(a: readonly (string | undefined)[], b: readonly (string | undefined)[]): number {
  for (let index = 0; index < Math.min(a.length, b.length); index++) {
    const order = compareIdentifiers(a[index] ?? '', b[index] ?? '');
    if (order !== 0) return order;
  }
  return a.length - b.length;
}

/** Compares identifiers: numbers by value, and lower than any text; texts by their characters. */
function compareIdentifiers(a: string, b: string): number {
  if (a === b) return 0;
  const [aIsNumber, bIsNumber] = [/^\d+$/.test(a), /^\d+$/.test(b)];
  if (aIsNumber && bIsNumber) return BigInt(a) < BigInt(b) ? -1 : 1;
  if (aIsNumber !== bIsNumber) return aIsNumber ? -1 : 1;
  return a < b ? -1 : 1;
}
