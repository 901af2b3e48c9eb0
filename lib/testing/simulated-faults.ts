import { LeaseRequestError } from '../election/internal.js';

/** What goes wrong with one request; by default nothing. Times are in milliseconds. */
export interface RequestFaults {
  /** `request`: the request never arrives. `reply`: it is carried out, but the client gets no reply. */
  readonly lost?: 'request' | 'reply';
  /** The request arrives this much later. */
  readonly delayMs?: number;
  /** The reply arrives this much later. */
  readonly replyDelayMs?: number;
  /** A copy of the request arrives this much later, as from a proxy that retries. */
  readonly copyAfterMs?: number;
  /** The client gets the reply to the copy, not to the original. */
  readonly copyAnswered?: boolean;
  /** The request is answered with this error. */
  readonly error?: LeaseRequestError;
  /** A write is answered with a conflict although there is none. */
  readonly conflict?: boolean;
  /** Whether the request is carried out. Default: yes, unless it is answered with an error or a conflict. */
  readonly carriedOut?: boolean;
  /** A read returns the Lease as it was this many changes ago, up to 8. */
  readonly versionsBehind?: number;
}

/**
 * What happens to a request. `answer`: it is carried out and answered. `lose`: it never arrives. `loseReply`: it is
 * carried out, but the client gets no reply. An error: it is answered with that error, and not carried out.
 */
export type RequestFate = 'answer' | 'lose' | 'loseReply' | LeaseRequestError | RequestFaults;

/** What goes wrong with one event of a watch; by default nothing. Times are in milliseconds. */
export interface EventFaults {
  readonly dropped?: boolean;
  readonly delayMs?: number;
  /** How often the event is sent. Default 1. */
  readonly copies?: number;
  /** The time between copies. */
  readonly copyAfterMs?: number;
  /** The event shows the Lease as it was this many changes ago, up to 8. */
  readonly versionsBehind?: number;
}

/** The faults that a fate stands for. */
export function asRequestFaults(fate: RequestFate): RequestFaults {
  if (fate === 'answer') return {};
  if (fate === 'lose') return { lost: 'request' };
  if (fate === 'loseReply') return { lost: 'reply' };
  return fate instanceof LeaseRequestError ? { error: fate } : fate;
}
