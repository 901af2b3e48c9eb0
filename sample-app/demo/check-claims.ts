/**
 * Checks a run of the demo by the reports of its replicas. Claims are intervals of one clock, so an overlap between two looks is
 * found, too.
 */

/** One term of one replica. */
export interface Claim {
  readonly replica: string;
  readonly token: bigint;
  readonly from: number;
  /** When it ended: as reported, or when it was no longer certain, whichever came first. */
  readonly until: number;
}

/** A run of a job, with the term in which it ran. */
export interface JobRun {
  readonly replica: string;
  readonly token: bigint;
  readonly at: number;
}

/** A moment at which a replica answered that it leads. */
export interface LeadingLook {
  readonly replica: string;
  readonly at: number;
}

/** The reports of all replicas. */
export interface ClaimHistory {
  readonly claims: readonly Claim[];
  readonly jobs: readonly JobRun[];
  readonly looks: readonly LeadingLook[];
}

/** One sentence for each violation in a history; none if there is none. */
export function violationsIn(history: ClaimHistory): string[] {
  return [
    ...overlaps(history.claims),
    ...tokensThatDidNotGrow(history.claims),
    ...jobsOutsideTerms(history),
    ...looksOutsideTerms(history),
  ];
}

function overlaps(claims: readonly Claim[]): string[] {
  const inOrder = [...claims].sort((a, b) => a.from - b.from);
  const violations: string[] = [];
  for (const [index, claim] of inOrder.entries()) {
    for (const next of inOrder.slice(index + 1)) {
      if (next.from >= claim.until) continue;
      const both = Math.min(claim.until, next.until) - next.from;
      violations.push(`${label(claim)} and ${label(next)} both led for ${both.toFixed(1)} ms`);
    }
  }
  return violations;
}

function tokensThatDidNotGrow(claims: readonly Claim[]): string[] {
  const inOrder = [...claims].sort((a, b) => a.from - b.from);
  return inOrder.slice(1).flatMap((claim, index) => {
    const before = inOrder[index] as Claim;
    return claim.token > before.token
      ? []
      : [`${label(claim)} came after ${label(before)}, with no larger token`];
  });
}

function jobsOutsideTerms({ claims, jobs }: ClaimHistory): string[] {
  return jobs
    .filter((job) => !claims.some((claim) => claim.token === job.token && covers(claim, job)))
    .map(
      ({ replica, token, at }) =>
        `a job ran in ${replica} (token ${String(token)}) at ${at.toFixed(1)} ms, outside that term`,
    );
}

function looksOutsideTerms({ claims, looks }: ClaimHistory): string[] {
  return looks
    .filter((look) => !claims.some((claim) => covers(claim, look)))
    .map(({ replica, at }) => `${replica} answered that it leads at ${at.toFixed(1)} ms, outside its terms`);
}

function covers(claim: Claim, { replica, at }: { replica: string; at: number }): boolean {
  return claim.replica === replica && claim.from <= at && at <= claim.until;
}

function label({ replica, token }: Claim): string {
  return `${replica} (token ${String(token)})`;
}
