/** How the demo measures a hand-over, and when a term ends on its page. */
import { describe, expect, it } from 'vitest';
import type { RunEvent, RunEventKind } from '../../sample-app/demo/page/recording.js';
import { RunRecorder } from '../../sample-app/demo/run-recorder.js';

const GROUP = 'nestjs-leader';

/** A run that began at 1000, in which `replica-1` leads with token 7 from 1100, certain until 5100. */
function runWithLeader(): RunRecorder {
  const recorder = new RunRecorder(1_000);
  for (const lane of ['replica-1', 'replica-2']) {
    recorder.started(1_010, lane, GROUP, lane);
    recorder.take(lane, lane, { type: 'ready', at: 1_050 });
  }
  claim(recorder, 'replica-1', '7', 1_100, 5_100);
  return recorder;
}

function claim(recorder: RunRecorder, lane: string, token: string, from: number, until: number): void {
  recorder.take(lane, lane, { type: 'claim', token, from, until });
}

function eventsOf(recorder: RunRecorder, kind: RunEventKind): RunEvent[] {
  return recorder.events.filter((event) => event.kind === kind);
}

describe('a hand-over', () => {
  it('is not the first term', () => {
    expect(eventsOf(runWithLeader(), 'handOver')).toEqual([]);
  });

  it('lasts from what was done to the leader until the next term', () => {
    const recorder = runWithLeader();
    recorder.act(2_000, 'replica-1', 'SIGTERM', false);
    recorder.take('replica-1', 'replica-1', { type: 'claimEnded', token: '7', at: 2_001, reason: 'stopped' });
    claim(recorder, 'replica-2', '9', 2_023, 6_023);
    expect(eventsOf(recorder, 'handOver')).toEqual([
      {
        at: 1_023,
        lane: 'replica-2',
        kind: 'handOver',
        text: 'replica-2 leads, token 9, after 23 ms',
        token: '9',
        tookMs: 23,
        cause: 'SIGTERM',
      },
    ]);
    expect(eventsOf(recorder, 'termEnd')).toEqual([
      { at: 1_001, lane: 'replica-1', kind: 'termEnd', text: 'stopped', token: '7', released: true },
    ]);
  });

  it('counts from the first of several things that were done to the leader', () => {
    const recorder = runWithLeader();
    recorder.act(2_000, 'replica-1', 'SIGSTOP', false);
    recorder.act(3_000, 'replica-1', 'SIGKILL', false);
    claim(recorder, 'replica-2', '9', 7_000, 11_000);
    expect(eventsOf(recorder, 'handOver')).toMatchObject([{ tookMs: 5_000, cause: 'SIGSTOP' }]);
  });

  it('is not caused by what was undone in time, nor by what was done to a follower', () => {
    const recorder = runWithLeader();
    recorder.act(2_000, 'replica-1', 'SIGSTOP', false);
    recorder.act(2_500, 'replica-1', 'SIGCONT', true);
    recorder.act(3_000, 'replica-2', 'SIGSTOP', false);
    claim(recorder, 'replica-2', '9', 7_100, 11_100);
    expect(eventsOf(recorder, 'handOver')).toMatchObject([{ tookMs: 2_000, cause: 'the former term ended' }]);
  });

  it('of one group is none of another', () => {
    const recorder = runWithLeader();
    recorder.started(1_500, 'poller-1', 'pollers', 'poller-1');
    recorder.act(2_000, 'replica-1', 'SIGKILL', false);
    claim(recorder, 'poller-1', '8', 2_100, 6_100);
    expect(eventsOf(recorder, 'handOver')).toEqual([]);
  });
});

describe('a term', () => {
  it('ends with its process', () => {
    const recorder = runWithLeader();
    recorder.state(2_000, 'replica-1', 'gone');
    expect(eventsOf(recorder, 'termEnd')).toMatchObject([{ at: 1_000, token: '7', released: false }]);
  });

  it('ends when it was no longer certain, though a frozen replica tells it later', () => {
    const recorder = runWithLeader();
    recorder.take('replica-1', 'replica-1', {
      type: 'claimEnded',
      token: '7',
      at: 9_000,
      reason: 'deadline',
    });
    expect(eventsOf(recorder, 'termEnd')).toMatchObject([{ at: 4_100, released: false }]);
  });

  it('is renewed by a second, not by the rounding of a look', () => {
    const recorder = runWithLeader();
    claim(recorder, 'replica-1', '7', 1_100, 5_101);
    claim(recorder, 'replica-1', '7', 1_100, 6_400);
    expect(eventsOf(recorder, 'renewal')).toMatchObject([{ token: '7', until: 5_400 }]);
  });
});

it('tells each broken guarantee once', () => {
  const recorder = runWithLeader();
  recorder.broken(2_000, ['two led']);
  recorder.broken(3_000, ['two led', 'a token did not grow']);
  expect(eventsOf(recorder, 'broken')).toMatchObject([
    { at: 1_000, text: 'two led' },
    { at: 2_000, text: 'a token did not grow' },
  ]);
});
