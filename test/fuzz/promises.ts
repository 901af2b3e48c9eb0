/** What every target promises, whatever its input is. */
import { isLeaderError } from '../../lib/election/index.js';
import { LeaderError, LeaseRequestError } from '../../lib/election/internal.js';
import { TransportError } from '../../lib/kubernetes/transport-error.js';
import { canary, textOf } from '../security/canary.js';
import { SECRET } from './mutations.js';

/** The credentials that the targets use. */
export const TOKEN = canary('token');
export const PASSWORD = canary('password');

/** What came of a call. */
export type Outcome<T> = { readonly value: T } | { readonly error: unknown };

/** The outcome of a call, which may throw at once. */
export async function outcomeOf<T>(call: () => Promise<T> | T): Promise<Outcome<T>> {
  try {
    return { value: await call() };
  } catch (error) {
    return { error };
  }
}

/** Checks that a call returned, or threw an error of this package that says what is wrong and tells no secret. */
export async function keepsPromises<T>(call: () => Promise<T> | T): Promise<T | undefined> {
  const outcome = await outcomeOf(call);
  if ('value' in outcome) return outcome.value;
  checkError(outcome.error);
  return undefined;
}

/** The names of errors that mean a bug, as a message of ours shows them: (TypeError). */
const BUGS = /\((?:Type|Range|Syntax|Reference|URI|Eval)?Error\)/;

/** @throws Error if this is not an error that a user may get. */
export function checkError(error: unknown): void {
  checkSecrets(error);
  if (!isLeaderError(error))
    throw new Error('An error came out that is not of this package.', { cause: error });
  if (!(error instanceof LeaderError) || !error.code.startsWith('LEADER_') || error.message.length < 20)
    throw new Error('An error came out without a code or a sentence.', { cause: error });
  if (BUGS.test(error.message))
    throw new Error('An error says the name of a bug instead of what is wrong.', { cause: error });
  if (!isOneMessage(error.message)) throw new Error('A message has control characters.', { cause: error });
  if (error instanceof LeaseRequestError && !isDelay(error.retryAfterMs))
    throw new Error(`An error asks to wait ${String(error.retryAfterMs)} ms.`, { cause: error });
}

/** @throws Error unless this is the error of the transport that is made into one of the package. */
export function checkTransportError(error: unknown): void {
  checkSecrets(error);
  if (!(error instanceof TransportError))
    throw new Error('The transport threw another error.', { cause: error });
}

/** @throws Error if anybody who sees this value sees a secret. */
export function checkSecrets(value: unknown): void {
  const text = textOf(value);
  for (const secret of [SECRET, TOKEN, PASSWORD])
    if (text.includes(secret)) throw new Error(`A secret came out: ${text.slice(0, 1_000)}`);
}

/** @throws Error if an input has changed what every object has. */
export function checkPrototypes(): void {
  const { polluted } = {} as { polluted?: unknown };
  if (polluted !== undefined) throw new Error('Object.prototype was changed.');
}

/** A message may have lines, such as a rule for a Role, but nothing that a terminal obeys. */
function isOneMessage(message: string): boolean {
  return !/(?!\n)[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(message) && message.length < 10_000;
}

function isDelay(ms: number | undefined): boolean {
  return ms === undefined || (Number.isFinite(ms) && ms > 0);
}
