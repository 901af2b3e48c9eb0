/** Times, of which exactly six fractional digits are wanted. */
import type { Row } from './row.js';
import { LAYOUT, keptRow, specRow } from './spec-text.js';

function timeRow(time: string, complaint: string): Row {
  return specRow(`{"renewTime":${JSON.stringify(time)}}`, `parsing time ${JSON.stringify(time)}${complaint}`);
}

function timeFormatRow(time: string, rest: string, element: string): Row {
  return timeRow(time, ` as "${LAYOUT}": cannot parse ${JSON.stringify(rest)} as "${element}"`);
}

export const timeRows: readonly Row[] = [
  timeFormatRow('2026-01-01T00:00:00Z', 'Z', '.000000'),
  timeFormatRow('2026-01-01T00:00:00.1Z', '.1Z', '.000000'),
  timeFormatRow('2026-01-01T00:00:00.123Z', '.123Z', '.000000'),
  timeFormatRow('2026-01-01T00:00:00.1234567Z', '7Z', 'Z07:00'),
  timeFormatRow('2026-01-01T00:00:00.123456789Z', '789Z', 'Z07:00'),
  timeFormatRow('2026-01-01T00:00:00.123456', '', 'Z07:00'),
  timeFormatRow('2026-01-01t00:00:00.123456Z', 't00:00:00.123456Z', 'T'),
  timeFormatRow('2026-01-01T00:00:00.123456z', 'z', 'Z07:00'),
  timeFormatRow('2026-01-01 00:00:00.123456Z', ' 00:00:00.123456Z', 'T'),
  timeFormatRow('', '', '2006'),
  timeFormatRow('yesterday', 'yesterday', '2006'),
  timeFormatRow('2026-1-01T00:00:00.123456Z', '1-01T00:00:00.123456Z', '01'),
  timeFormatRow('2026-01-01T00:00:00.123456+0100', '+0100', 'Z07:00'),
  timeFormatRow('2026-01-01T00:00:0.123456Z', '0.123456Z', '05'),
  timeRow('2026-13-01T00:00:00.123456Z', ': month out of range'),
  timeRow('2026-02-30T00:00:00.123456Z', ': day out of range'),
  timeRow('2026-01-01T24:00:00.123456Z', ': hour out of range'),
  timeRow('2026-01-01T00:60:00.123456Z', ': minute out of range'),
  timeRow('2026-01-01T00:00:60.123456Z', ': second out of range'),
  timeRow('2026-01-01T00:00:00.123456Zz', ': extra text: "z"'),
  timeRow('2026-01-01T00:00:00.123456+25:00', ': time zone offset hour out of range'),
  keptRow('{"renewTime":"2026-01-01T00:00:00.123456Z"}', { renewTime: '2026-01-01T00:00:00.123456Z' }),
  keptRow('{"renewTime":"2026-01-01T01:30:00.000000+01:30"}', { renewTime: '2026-01-01T00:00:00.000000Z' }),
  keptRow('{"renewTime":"2025-12-31T22:00:00.000001-02:00"}', { renewTime: '2026-01-01T00:00:00.000001Z' }),
  keptRow('{"renewTime":"2024-02-29T23:59:59,999999Z"}', { renewTime: '2024-02-29T23:59:59.999999Z' }),
];
