import type { Clock, MicroTime } from '../../election/index.js';

/** The clock's wall time as a Lease writes it; the last three digits by chance. */
export function microTimeOf(clock: Clock): MicroTime {
  const micros = Math.floor(clock.random() * 1000)
    .toString()
    .padStart(3, '0');
  return new Date(clock.date()).toISOString().replace('Z', `${micros}Z`) as MicroTime;
}
