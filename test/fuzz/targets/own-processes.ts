/** What a process reads about itself: its environment, the files of its pod, and procfs. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { processOf, textOf } from '../../../lib/election/internal.js';
import { ownProcess } from '../../../lib/kubernetes/death/own-process.js';
import { environmentProxy } from '../../../lib/kubernetes/environment-proxy.js';
import { isInCluster, ownPod, podNamespace, podServer } from '../../../lib/kubernetes/pod.js';
import { HandClock } from '../../kubernetes/hand-clock.js';
import type { Target } from '../fuzzing.js';
import { SECRET } from '../mutations.js';
import { checkPrototypes, checkSecrets, keepsPromises } from '../promises.js';

const PID = 7;
const folder = mkdtempSync(join(tmpdir(), 'nestjs-leader-fuzz-process-'));
mkdirSync(join(folder, String(PID)), { recursive: true });
symlinkSync(String(PID), join(folder, 'self'));
for (const made of ['1', 'sys/kernel/random', 'pod']) mkdirSync(join(folder, made), { recursive: true });

/** The parts of an input: each begins with a line that names its file, or the environment. */
const PARTS = [
  'self/mountinfo',
  'self/status',
  'self/auxv',
  '1/stat',
  'sys/kernel/random/boot_id',
  'uptime',
  'pod/token',
  'pod/namespace',
];

export const ownProcesses: Target = {
  name: 'own-processes',
  runsPerSecond: 700,
  async run(input) {
    const parts = partsIn(input.toString('latin1'));
    for (const part of PARTS)
      writeFileSync(join(dirname(folder + '/x'), part), parts.get(part) ?? '', { encoding: 'latin1' });
    // The environment is shown: whoever set it has to see what is wrong with it.
    const env = environmentIn((parts.get('environment') ?? '').replaceAll(SECRET, 'shown'));
    const pod = join(folder, 'pod');
    const sources = {
      env,
      serviceAccount: pod,
      proc: folder,
      pid: PID,
      clock: new HandClock(),
      sign: () => undefined,
    };
    const own = ownProcess(sources);
    checkSecretsOfFiles(own);
    if (own.process !== undefined) checkText(own.process);
    await keepsPromises(() => podNamespace(pod, env));
    await keepsPromises(() => ownPod('ours', env));
    await keepsPromises(() => podServer(env));
    isInCluster(env, pod);
    environmentProxy(new URL('https://10.0.0.1:6443'), env);
    checkPrototypes();
  },
  close() {
    rmSync(folder, { recursive: true });
  },
};

function partsIn(text: string): Map<string, string> {
  const [, ...rest] = text.split(/^=== (.*)\n/m);
  const parts = new Map<string, string>();
  for (let at = 0; at + 1 < rest.length; at += 2) parts.set(rest[at] ?? '', rest[at + 1] ?? '');
  return parts;
}

function environmentIn(text: string): NodeJS.ProcessEnv {
  const pairs = text.split('\n').map((line) => /^([^=]+)=(.*)$/.exec(line)?.slice(1) ?? []);
  return Object.fromEntries(pairs.filter(([name]) => name !== undefined) as [string, string][]);
}

/** What others read in the Lease is exactly this: no value can pretend to be another field. */
function checkText(own: NonNullable<ReturnType<typeof ownProcess>['process']>): void {
  const read = processOf(textOf(own));
  const same = JSON.stringify(sorted(read)) === JSON.stringify(sorted(own));
  if (!same || /[\n\p{Cc}]/u.test(textOf(own)))
    throw new Error(
      `A process writes ${JSON.stringify(textOf(own))}, which reads as ${JSON.stringify(read)}.`,
    );
}

function sorted(process: object | undefined): unknown {
  const known = Object.entries(process ?? {}).filter(([, value]) => value !== undefined);
  return known.toSorted(([one], [other]) => (one < other ? -1 : 1));
}

/** Of the token and of the other files nothing is shown. */
function checkSecretsOfFiles({ problem, process }: ReturnType<typeof ownProcess>): void {
  checkSecrets([problem, process]);
  if (problem !== undefined && /(?!\n)\p{Cc}/u.test(problem))
    throw new Error('The problem has control characters.');
}
