/** Checks gated calls that last for a while, from their start to their end. */
import type { Claim } from '../../sample-app/demo/check-claims.js';

/** One gated call. */
export interface WorkSpan {
  readonly replica: string;
  readonly token: bigint;
  readonly from: number;
  /** Infinity while it runs, and if its process was killed. */
  until: number;
}

/** One sentence for each call that started outside its term, or still ran while another replica led. */
export function workOutsideTerms(work: readonly WorkSpan[], claims: readonly Claim[]): string[] {
  return work.flatMap((span) => {
    const own = claims.find(({ replica, token }) => replica === span.replica && token === span.token);
    const started = own !== undefined && own.from <= span.from && span.from <= own.until;
    const outside = started ? [] : [`work of ${label(span)} started outside that term`];
    const meanwhile = claims.filter((claim) => {
      return claim.replica !== span.replica && claim.from < span.until && claim.until > span.from;
    });
    return [...outside, ...meanwhile.map((claim) => `work of ${label(span)} ran while ${label(claim)} led`)];
  });
}

function label({ replica, token }: { replica: string; token: bigint }): string {
  return `${replica} (token ${String(token)})`;
}
