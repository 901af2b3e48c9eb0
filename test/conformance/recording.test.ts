/**
 * A recording that somebody has sent: `RECORDING=file.log npx vitest run test/conformance/recording.test.ts` replays each election
 * in it, and checks it against the rules. Without it, what makes a recording unusable is said.
 */
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { stepRecorder } from '../../lib/election/index.js';
import { simulate } from '../../lib/testing/simulation/index.js';
import { checked, recordingsIn, replayed } from './replay.js';

const file = process.env['RECORDING'];

/** A recording of one election: of the process that starts first. */
async function recorded(): Promise<string[]> {
  const lines: string[] = [];
  let first: string | undefined;
  await simulate({
    from: 7,
    size: 1,
    leases: 2,
    faults: [],
    traceOf: (name) => {
      first ??= name;
      return name === first ? stepRecorder((line) => lines.push(line)) : () => undefined;
    },
  });
  return lines;
}

it(file === undefined ? 'a recording is read from a log' : `the recordings in ${file}`, async () => {
  const log =
    file === undefined
      ? (await recorded()).map((line) => `[Nest] 7 DEBUG 'billing': ${line}`).join('\n')
      : readFileSync(file, 'utf8');
  const recordings = recordingsIn(log);
  expect(recordings.size).toBeGreaterThan(0);
  for (const [whose, lines] of recordings) {
    const { used } = checked(replayed(lines));
    console.log(
      `${whose}: ${String(lines.length)} steps replayed; the rules explain them by ${String(used.size)} transitions.`,
    );
  }
});

it('a recording without its first line is refused', async () => {
  const [, ...lines] = await recorded();
  expect(() => replayed(lines)).toThrow('A recording begins with a line that has `config`.');
});

it('a step that differs is shown', async () => {
  const lines = await recorded();
  const changed = lines.map((line) =>
    line.replace('"do":"openWatch","stream":1', '"do":"openWatch","stream":2'),
  );
  expect(() => replayed(changed)).toThrow(
    /^Replayed step 1 differs\.\nRecorded: .*"stream":2.*\nReplayed effects: .*"stream":1/,
  );
});

it('a line that was cut off at the end is ignored', async () => {
  const lines = await recorded();
  const log = lines.map((line) => `'billing': ${line}`).join('\n');
  expect(recordingsIn(log.slice(0, -5)).get("'billing'")).toHaveLength(lines.length - 1);
});
