/** What proves the death of a holder: the status of its pod, and what it wrote about its process. */
import {
  fieldsOf,
  isEarlierInstance,
  isReportedDead,
  ownContainerId,
  processOf,
  textOf,
  type PodSeen,
} from '../../../lib/election/internal.js';
import { PodStatus } from '../../../lib/kubernetes/internal.js';
import { HandClock } from '../../kubernetes/hand-clock.js';
import { holder, holderText } from '../../kubernetes/death/pod-fixtures.js';
import { HandConnection, streamOf } from '../../security/hand-connection.js';
import type { Target } from '../fuzzing.js';
import { checkError, checkPrototypes } from '../promises.js';

export const pods: Target = {
  name: 'pods',
  runsPerSecond: 1_000,
  async run(input) {
    const text = input.toString('utf8');
    const written = processOf(text);
    if (written !== undefined) {
      if (processOf(textOf(written)) === undefined)
        throw new Error('What a process writes cannot be read back.');
      isEarlierInstance(written, holder);
    }
    const pod = podIn(text);
    if (pod !== undefined && isReportedDead(holder, pod)) checkEvidence(pod);
    if (pod !== undefined) ownContainerId(holder, pod);
    await followed(text);
    checkPrototypes();
  },
};

function podIn(text: string): PodSeen | undefined {
  try {
    return fieldsOf(JSON.parse(text));
  } catch {
    return undefined;
  }
}

/** Whatever else a pod contains: without its uid and the end of a container nobody is dead. */
function checkEvidence(pod: PodSeen): void {
  const text = JSON.stringify(pod);
  if (pod.metadata?.uid !== holder.podUid || !text.includes('"terminated"') || !text.includes('"finishedAt"'))
    throw new Error('A holder was declared dead without evidence.');
}

/** Follows the holder and this process' own pod, over a watch that shows the pod once and ends. */
async function followed(text: string): Promise<void> {
  const line = Buffer.from(`{"type":"ADDED","object":${text.replaceAll(/[\r\n]+/g, ' ')}}\n`);
  const connection = new HandConnection(() => undefined);
  let ended: () => void = () => undefined;
  const over = new Promise<void>((resolve) => (ended = resolve));
  connection.stream = () => {
    function* pieces(): Generator<Buffer> {
      yield line;
      setImmediate(ended);
    }
    return Promise.resolve(streamOf(pieces()));
  };
  const proof = new PodStatus({ connection, own: { ...holder, podUid: 'u1' }, clock: new HandClock() });
  const attendant = proof.attendant();
  attendant.start((error) => {
    checkError(error);
  });
  const leave = proof.follow(holderText, () => undefined);
  // It looks at the event before it asks for more, and never asks again after one that it cannot use.
  await Promise.race([over, new Promise((resolve) => setImmediate(() => setImmediate(resolve)))]);
  leave();
  await attendant.stop();
}
