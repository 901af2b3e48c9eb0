/** What can become of a request to a simulated Lease, and of an event of a watch on it. */
import { LeaseRequestError } from '../election/index.js';

/** What goes wrong with one request; nothing by default. Milliseconds. */
export interface RequestFaults {
  /** `request`: it never arrives. `reply`: it is carried out, but the client never hears. */
  readonly lost?: 'request' | 'reply';
  /** It arrives that much later. */
  readonly delayMs?: number;
  /** It is answered that much later. */
  readonly replyDelayMs?: number;
  /** A copy of it arrives that much after it, as a proxy that tries again sends. */
  readonly copyAfterMs?: number;
  /** The client hears what came of the copy, not of the first. */
  readonly copyAnswered?: boolean;
  /** It is answered so. */
  readonly error?: LeaseRequestError;
  /** A write is answered with a conflict that there is not. */
  readonly conflict?: boolean;
  /** Whether it is carried out. Default: unless it is answered with an error or a conflict. */
  readonly carriedOut?: boolean;
  /** A read is answered with how the Lease was that many changes ago, up to 8. */
  readonly versionsBehind?: number;
}

/**
 * What becomes of a request. `answer`: all is well. `lose`: it never arrives. `loseReply`: it is carried out, but the
 * client never hears. An error: it is answered so, and not carried out.
 */
export type RequestFate = 'answer' | 'lose' | 'loseReply' | LeaseRequestError | RequestFaults;

/** What goes wrong with one event of a watch; nothing by default. Milliseconds. */
export interface EventFaults {
  readonly dropped?: boolean;
  readonly delayMs?: number;
  /** How often it is told. Default 1. */
  readonly copies?: number;
  /** How long after each other. */
  readonly copyAfterMs?: number;
  /** It shows the Lease as it was that many changes ago, up to 8. */
  readonly versionsBehind?: number;
}

/** A fate in full. */
export function asRequestFaults(fate: RequestFate): RequestFaults {
  if (fate === 'answer') return {};
  if (fate === 'lose') return { lost: 'request' };
  if (fate === 'loseReply') return { lost: 'reply' };
  return fate instanceof LeaseRequestError ? { error: fate } : fate;
}
