/** Whole numbers as Go's strconv reads them, with its complaints, and what a timer can wait. */
import { goQuote } from './go-quote.js';

/** What Node's timers can wait, 24 days; they would not wait at all for longer. */
export const MAX_TIMER_MS = 2 ** 31 - 1;

const MAX_INT64 = 2n ** 63n - 1n;
const MAX_UINT64 = 2n ** 64n - 1n;

/** No more digits are looked at: they would only make work. */
const MAX_SHOWN_DIGITS = 100;

/** What is wrong with an unsigned integer of 64 bits; undefined: nothing. */
export function uintComplaint(text: string): string | undefined {
  return complaint('strconv.ParseUint', text, /^\d+$/, 0n, MAX_UINT64);
}

/** What is wrong with an integer of 64 bits; undefined: nothing. */
export function intComplaint(text: string): string | undefined {
  return complaint('strconv.ParseInt', text, /^[+-]?\d+$/, -MAX_INT64 - 1n, MAX_INT64);
}

function complaint(
  reader: string,
  text: string,
  pattern: RegExp,
  least: bigint,
  most: bigint,
): string | undefined {
  const isLong = text.length > MAX_SHOWN_DIGITS;
  const what = `${reader}: parsing ${goQuote(isLong ? `${text.slice(0, MAX_SHOWN_DIGITS)} …` : text)}`;
  if (!pattern.test(text)) return `${what}: invalid syntax`;
  const value = isLong ? most + 1n : BigInt(text.replace('+', ''));
  return value < least || value > most ? `${what}: value out of range` : undefined;
}
