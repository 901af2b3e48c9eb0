/** The options of a `ScriptedElector` and their rules. */
import type { Clock } from '../clock.js';
import { InvalidOptionsError } from '../errors.js';
import type { ElectionMeter } from '../meter.js';
import { show } from '../options.js';
import type { Role } from '../static/static-elector.js';
import type { TermEndReason } from '../term.js';

/** The parts of a {@link ScriptedElector}. */
export interface ScriptedElectorParts {
  /** Roles to play, each as soon as it comes. When the iterable ends, the last role stays; if it throws, `run` rejects. */
  readonly roles?: AsyncIterable<Role> | undefined;
  /** Default `'scripted'`. */
  readonly leaseName?: string | undefined;
  /** Default `'me'`. */
  readonly identity?: string | undefined;
  /** Milliseconds. Default 20000. */
  readonly drainTimeout?: number | undefined;
  /** The time after which a term is handed over, in milliseconds. Default 0: never. */
  readonly termLimit?: number | undefined;
  /** Default: the {@link SystemClock}. */
  readonly clock?: Clock | undefined;
  /** Called with the facts for metrics. Default: none. */
  readonly meter?: ElectionMeter | undefined;
}

/** The options of `grant()`. */
export interface GrantOptions {
  /** Default: one more than the last. */
  readonly fencingToken?: bigint | undefined;
  /** The slot that this process leads. Default 0. */
  readonly slot?: number | undefined;
  /**
   * How long the term is certain, in milliseconds from its beginning, on the elector's clock. It is not renewed, so it then
   * ends with the reason `deadline`. Default: it does not run out.
   */
  readonly validFor?: number | undefined;
}

const reasons: readonly string[] = Object.keys({
  released: true,
  deadline: true,
  superseded: true,
  leaseGone: true,
  termLimit: true,
  steppedDown: true,
  stopped: true,
} satisfies Record<TermEndReason, true>);

/** @throws InvalidOptionsError `LEADER_INVALID_OPTIONS` */
export function refuseInvalidGrant({ fencingToken, slot, validFor }: GrantOptions): void {
  const violations: string[] = [];
  if (fencingToken !== undefined && (typeof fencingToken !== 'bigint' || fencingToken < 0n))
    violations.push(
      `fencingToken is ${typeof fencingToken === 'bigint' ? String(fencingToken) : show(fencingToken)}: it must be a bigint, 0n or more, as in 7n`,
    );
  if (slot !== undefined && !(Number.isInteger(slot) && slot >= 0))
    violations.push(`slot is ${show(slot)}: it must be a whole number, 0 or more`);
  if (validFor !== undefined && !(typeof validFor === 'number' && validFor > 0))
    violations.push(`validFor is ${show(validFor)}: it must be a number of milliseconds above 0`);
  if (violations.length > 0) throw new InvalidOptionsError(violations, 'The options of grant()');
}

/** @throws InvalidOptionsError `LEADER_INVALID_OPTIONS` */
export function refuseInvalidReason(reason: TermEndReason): void {
  if (reasons.includes(reason)) return;
  const violation = `the reason is ${show(reason)}: it must be one of ${reasons.join(', ')}`;
  throw new InvalidOptionsError([violation], 'The arguments of revoke()');
}
