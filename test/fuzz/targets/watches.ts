/** The bytes of a watch, cut anywhere: what is seen does not depend on the cuts. */
import type { WatchEvent } from '../../../lib/election/index.js';
import { KubernetesLeaseLock } from '../../../lib/kubernetes/index.js';
import { LeaseObserver } from '../../../lib/kubernetes/lease-observer.js';
import { HandClock } from '../../kubernetes/hand-clock.js';
import { address, call, leaseOf } from '../../kubernetes/lease-fixtures.js';
import { HandConnection, ok, streamOf } from '../../security/hand-connection.js';
import type { Target } from '../fuzzing.js';
import { checkError, checkPrototypes, outcomeOf } from '../promises.js';

/** Longer inputs are cut into pieces, and not into single bytes. */
const SINGLE_BYTES = 20_000;

export const watches: Target = {
  name: 'watches',
  runsPerSecond: 150,
  async run(input) {
    const whole = await watched([input]);
    const ways = [
      ...(input.length <= SINGLE_BYTES ? [input.length] : []),
      ...[2, 3, 7].filter((pieces) => pieces < input.length),
    ];
    for (const pieces of ways) {
      const cut = await watched(inPieces(input, pieces));
      if (cut !== whole) throw new Error(`In ${String(pieces)} pieces it is ${cut} instead of ${whole}`);
    }
    checkPrototypes();
  },
};

/** All that is seen of a watch, as text. */
async function watched(pieces: readonly Buffer[]): Promise<string> {
  const connection = new HandConnection(() => ok(leaseOf()));
  connection.stream = () => Promise.resolve(streamOf(pieces));
  const seen: (WatchEvent | object)[] = [];
  const lock = new KubernetesLeaseLock(connection, address);
  const observer = new LeaseObserver(connection, { namespace: 'ours' }, 1_000, new HandClock());
  const ends = [
    await outcomeOf(() => lock.watch((event) => seen.push(event), call().signal)),
    await outcomeOf(() =>
      observer.watch(undefined, { change: (change) => seen.push(change) }, call().signal),
    ),
  ];
  for (const end of ends) if ('error' in end) checkError(end.error);
  const messages = ends.map((end) => ('error' in end ? String(end.error) : 'ended'));
  return JSON.stringify({ seen, messages });
}

function inPieces(bytes: Buffer, count: number): Buffer[] {
  const at = (piece: number): number => Math.floor((piece * bytes.length) / count);
  return Array.from({ length: count }, (_, piece) => bytes.subarray(at(piece), at(piece + 1)));
}
