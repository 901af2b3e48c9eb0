import type { LeaseFacts } from '../kubernetes/internal.js';

/**
 * `held`: by a holder that renewed it within its duration. `expired`: by one that did not. `released`: nobody holds it. `never
 * held`: nobody has ever held it. `unknown`: the server does not say when it was renewed, or the Lease has no duration.
 */
export type LeaseState = 'held' | 'expired' | 'released' | 'never held' | 'unknown';

/** A Lease as a command shows it, and as `--json` prints it. Durations are milliseconds. */
export interface LeaseView {
  readonly namespace: string;
  readonly name: string;
  readonly holder: string | null;
  readonly state: LeaseState;
  readonly leaseDurationMs: number | null;
  /** Since the record was stored, by the API server's clock alone. */
  readonly renewedAgoMs: number | null;
  /** From `acquireTime`, which the holder's clock wrote, to now by the API server's clock. */
  readonly termAgeMs: number | null;
  readonly transitions: number | null;
  /** The fencing token of the term; null unless this command saw the term begin. */
  readonly token: string | null;
  readonly askedBy: string | null;
  readonly writtenBy: string | null;
  readonly isOurs: boolean;
  readonly acquireTime: string | null;
  readonly renewTime: string | null;
  readonly resourceVersion: string;
}

/** What else is known about a Lease. */
export interface Beside {
  /** Now, by the API server's clock; undefined if the server did not say. */
  readonly serverNow: number | undefined;
  /** When this command saw the last renewal, by the API server's clock. Default: when the server stored it. */
  readonly renewedAt?: number | undefined;
  readonly token?: string | undefined;
}

/** No clock is compared with one of this machine: both times of `renewedAgoMs` are the API server's. */
export function viewOf(lease: LeaseFacts, { serverNow, renewedAt, token }: Beside): LeaseView {
  // The server also says when a Lease was stored that nobody has ever renewed.
  const renewed =
    lease.renewTime === undefined && lease.holder === '' ? undefined : (renewedAt ?? lease.storedAt);
  const acquired = lease.acquireTime === undefined ? Number.NaN : Date.parse(lease.acquireTime);
  const since = (at: number | undefined): number | null =>
    at === undefined || serverNow === undefined || Number.isNaN(at)
      ? null
      : Math.max(Math.round(serverNow - at), 0);
  const renewedAgoMs = since(renewed);
  return {
    namespace: lease.namespace,
    name: lease.name,
    holder: lease.holder === '' ? null : lease.holder,
    state: stateOf(lease, renewedAgoMs),
    leaseDurationMs: lease.durationSeconds === undefined ? null : lease.durationSeconds * 1_000,
    renewedAgoMs,
    termAgeMs: lease.holder === '' ? null : since(acquired),
    transitions: lease.transitions ?? null,
    token: token ?? null,
    askedBy: lease.wantedBy ?? null,
    writtenBy: lease.isOurs ? 'nestjs-leader' : (lease.writer ?? null),
    isOurs: lease.isOurs,
    acquireTime: lease.acquireTime ?? null,
    renewTime: lease.renewTime ?? null,
    resourceVersion: lease.resourceVersion,
  };
}

/** Both times of the age are cut to seconds, so it may be a second less than it seems. */
const CUT_MS = 1_000;

function stateOf(
  { holder, durationSeconds, acquireTime, renewTime, transitions }: LeaseFacts,
  renewedAgoMs: number | null,
): LeaseState {
  if (holder === '') {
    const isNew = acquireTime === undefined && renewTime === undefined && transitions === undefined;
    return isNew ? 'never held' : 'released';
  }
  if (renewedAgoMs === null || durationSeconds === undefined) return 'unknown';
  return renewedAgoMs > durationSeconds * 1_000 + CUT_MS ? 'expired' : 'held';
}

/** A duration as kubectl shows an age: `42s`, `5m3s`, `3h5m`, `2d4h`, `23d`. */
export function ageText(ms: number | null): string {
  if (ms === null) return NONE;
  const seconds = Math.floor(ms / 1_000);
  if (seconds < 120) return `${String(seconds)}s`;
  const [minutes, hours, days] = [60, 3_600, 86_400].map((unit) => Math.floor(seconds / unit)) as [
    number,
    number,
    number,
  ];
  const two = (large: number, unit: string, rest: number, of: string): string =>
    `${String(large)}${unit}${rest > 0 ? `${String(rest)}${of}` : ''}`;
  if (minutes < 10) return two(minutes, 'm', seconds % 60, 's');
  if (hours < 3) return `${String(minutes)}m`;
  if (hours < 8) return two(hours, 'h', minutes % 60, 'm');
  if (hours < 48) return `${String(hours)}h`;
  return days < 8 ? two(days, 'd', hours % 24, 'h') : `${String(days)}d`;
}

/** What kubectl shows for a field without a value. */
export const NONE = '<none>';
