/** The instance before this one is dead only if the kernel says so, too. */
import { describe, expect, it } from 'vitest';
import { textOf, type HolderProcess } from '../../../lib/election/internal.js';
import { SameContainer } from '../../../lib/kubernetes/death/same-container.js';
import { SimulatedTime } from '../../../lib/testing/simulated-time.js';

const sign = { network: '4026531840', name: 'nestjs-leader/x' };
const holder: HolderProcess = {
  podUid: 'u1',
  container: 'app',
  instance: { boot: 'b1', start: 5_000 },
  sign,
};
const own: HolderProcess = {
  ...holder,
  instance: { boot: 'b1', start: 9_000 },
  sign: { ...sign, name: 'y' },
};

/** Follows `process`; the kernel's answers come in their order, the last again and again. */
function following(process: HolderProcess, ...answers: boolean[]) {
  const time = new SimulatedTime();
  let [asked, proven] = [0, 0];
  const kernel = (): Promise<boolean> =>
    Promise.resolve(answers[Math.min(asked++, answers.length - 1)] ?? false);
  const leave = new SameContainer(own, time.clock(), kernel).follow(textOf(process), () => {
    proven += 1;
  });
  return { time, leave, asked: () => asked, proven: () => proven };
}

describe('an earlier instance of the container', () => {
  it('is dead when its process has ended', async () => {
    const { time, asked, proven } = following(holder, true);
    await time.advance(60_000);
    expect([asked(), proven()]).toEqual([1, 1]);
  });

  it('is not dead while its process lives, although the kubelet has started another; the kernel is asked again', async () => {
    const { time, proven } = following(holder, false, false, true);
    await time.advance(1_900);
    expect(proven()).toBe(0);
    await time.advance(200);
    expect(proven()).toBe(1);
  });

  it('is no longer asked about when nobody follows it', async () => {
    const { time, leave, asked, proven } = following(holder, false, true);
    await time.advance(500);
    leave();
    await time.advance(60_000);
    expect([asked(), proven()]).toEqual([1, 0]);
  });

  it.each([
    ['has written no sign', { ...holder, sign: undefined }],
    ['is this instance', { ...holder, instance: own.instance }],
    ['is in another container', { ...holder, container: 'worker' }],
  ])('is never dead if it %s', async (_, process) => {
    const { time, asked, proven } = following(process, true);
    await time.advance(60_000);
    expect([asked(), proven()]).toEqual([0, 0]);
  });
});
