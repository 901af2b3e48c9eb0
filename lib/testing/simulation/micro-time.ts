import type { Clock, MicroTime } from '../../election/internal.js';

/** The clock's wall time in the format of a Lease. The last three digits are random. */
export function microTimeOf(clock: Clock): MicroTime {
  const micros = Math.floor(clock.random() * 1000)
    .toString()
    .padStart(3, '0');
  return new Date(clock.date()).toISOString().replace('Z', `${micros}Z`) as MicroTime;
}
