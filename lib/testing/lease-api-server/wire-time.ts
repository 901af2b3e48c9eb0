/**
 * Times as the API server reads and writes them. It parses with Go's `time.Parse` and lets its errors through, so the
 * steps below are those of that function, for the two layouts a Lease has.
 */
import { goQuote } from './go-quote.js';

/** Whole seconds, RFC 3339: every time in metadata. */
export type TimeLayout = 'seconds' | 'micros';

/** Go's names of the two layouts. */
const layouts = {
  seconds: '2006-01-02T15:04:05Z07:00',
  micros: '2006-01-02T15:04:05.000000Z07:00',
} as const;

/** The time cannot be read; the message is the API server's. */
export class TimeSyntaxError extends Error {
  override readonly name = 'TimeSyntaxError';
}

/**
 * Reads a time and writes it in UTC, with six fractional digits or none.
 *
 * @throws TimeSyntaxError
 */
export function normaliseTime(text: string, layout: TimeLayout): string {
  return new TimeReader(text, layout).read();
}

/** An instant as metadata shows it. */
export function wireSeconds(at: Date): string {
  return `${at.toISOString().slice(0, 19)}Z`;
}

/** The parts of a layout: what stands before it, its name, what it may be. */
const dateParts = [
  { before: '', element: '2006', digits: 4, from: 0, to: 9999, range: 'year' },
  { before: '-', element: '01', digits: 2, from: 1, to: 12, range: 'month' },
  { before: '-', element: '02', digits: 2, from: 0, to: 99, range: 'day' },
  { before: 'T', element: '15', digits: 2, from: 0, to: 23, range: 'hour' },
  { before: ':', element: '04', digits: 2, from: 0, to: 59, range: 'minute' },
  { before: ':', element: '05', digits: 2, from: 0, to: 59, range: 'second' },
] as const;

class TimeReader {
  readonly #text: string;
  readonly #layout: TimeLayout;
  #rest: string;

  constructor(text: string, layout: TimeLayout) {
    this.#text = text;
    this.#layout = layout;
    this.#rest = text;
  }

  read(): string {
    const [year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0] = dateParts.map((part) =>
      this.#part(part),
    );
    const micros = this.#fraction();
    const offsetMinutes = this.#zone();
    if (this.#rest !== '') this.#failWith(`: extra text: ${goQuote(this.#rest)}`);
    if (day < 1 || day > daysIn(month, year)) this.#failWith(': day out of range');
    const at = new Date(0);
    at.setUTCFullYear(year, month - 1, day);
    at.setUTCHours(hour, minute - offsetMinutes, second);
    const seconds = wireSeconds(at);
    return this.#layout === 'micros' ? `${seconds.slice(0, -1)}.${micros}Z` : seconds;
  }

  #part(part: (typeof dateParts)[number]): number {
    this.#skip(part.before);
    const hold = this.#rest;
    // Go reads the hour with one digit, too, unlike every other part.
    const pattern = part.element === '15' ? /^\d{1,2}/ : part.digits === 4 ? /^\d{4}/ : /^\d{2}/;
    const digits = pattern.exec(hold)?.[0];
    if (digits === undefined) this.#fail(hold, part.element);
    this.#rest = hold.slice(digits.length);
    const value = Number(digits);
    if (value < part.from || value > part.to) this.#failWith(`: ${part.range} out of range`);
    return value;
  }

  #fraction(): string {
    if (this.#layout === 'seconds') {
      // A fraction the layout does not ask for is accepted, and forgotten.
      this.#rest = this.#rest.replace(/^[.,]\d+/, '');
      return '';
    }
    const digits = /^[.,](\d{6})/.exec(this.#rest)?.[1];
    if (digits === undefined) this.#fail(this.#rest, '.000000');
    this.#rest = this.#rest.slice(7);
    return digits;
  }

  #zone(): number {
    const hold = this.#rest;
    if (hold.startsWith('Z')) {
      this.#rest = hold.slice(1);
      return 0;
    }
    const match = /^([+-])(\d{2}):(\d{2})/.exec(hold);
    if (match === null) this.#fail(hold, 'Z07:00');
    this.#rest = hold.slice(6);
    const hours = Number(match[2]);
    const minutes = Number(match[3]);
    if (hours > 24) this.#failWith(': time zone offset hour out of range');
    if (minutes > 60) this.#failWith(': time zone offset minute out of range');
    return (match[1] === '-' ? -1 : 1) * (hours * 60 + minutes);
  }

  #skip(prefix: string): void {
    if (!this.#rest.startsWith(prefix)) this.#fail(this.#rest, prefix);
    this.#rest = this.#rest.slice(prefix.length);
  }

  #fail(rest: string, element: string): never {
    this.#failWith(
      ` as ${goQuote(layouts[this.#layout])}: cannot parse ${goQuote(rest)} as ${goQuote(element)}`,
    );
  }

  #failWith(what: string): never {
    throw new TimeSyntaxError(`parsing time ${goQuote(this.#text)}${what}`);
  }
}

function daysIn(month: number, year: number): number {
  const days = new Date(0);
  days.setUTCFullYear(year, month, 0);
  return days.getUTCDate();
}
