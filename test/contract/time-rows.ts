/** Times, which must have exactly six fractional digits. */
import type { Row } from './row.js';
import { keptRow, specRow } from './spec-text.js';

function timeRow(time: string): Row {
  return specRow(`{"renewTime":${JSON.stringify(time)}}`);
}

export const timeRows: readonly Row[] = [
  timeRow('2026-01-01T00:00:00Z'),
  timeRow('2026-01-01T00:00:00.1Z'),
  timeRow('2026-01-01T00:00:00.123Z'),
  timeRow('2026-01-01T00:00:00.1234567Z'),
  timeRow('2026-01-01T00:00:00.123456789Z'),
  timeRow('2026-01-01T00:00:00.123456'),
  timeRow('2026-01-01t00:00:00.123456Z'),
  timeRow('2026-01-01T00:00:00.123456z'),
  timeRow('2026-01-01 00:00:00.123456Z'),
  timeRow(''),
  timeRow('yesterday'),
  timeRow('2026-1-01T00:00:00.123456Z'),
  timeRow('2026-01-01T00:00:00.123456+0100'),
  timeRow('2026-01-01T00:00:0.123456Z'),
  timeRow('2026-13-01T00:00:00.123456Z'),
  timeRow('2026-02-30T00:00:00.123456Z'),
  timeRow('2026-01-01T24:00:00.123456Z'),
  timeRow('2026-01-01T00:60:00.123456Z'),
  timeRow('2026-01-01T00:00:60.123456Z'),
  timeRow('2026-01-01T00:00:00.123456Zz'),
  timeRow('2026-01-01T00:00:00.123456+25:00'),
  keptRow('{"renewTime":"2026-01-01T00:00:00.123456Z"}', { renewTime: '2026-01-01T00:00:00.123456Z' }),
  keptRow('{"renewTime":"2026-01-01T01:30:00.000000+01:30"}', { renewTime: '2026-01-01T00:00:00.000000Z' }),
  keptRow('{"renewTime":"2025-12-31T22:00:00.000001-02:00"}', { renewTime: '2026-01-01T00:00:00.000001Z' }),
];
