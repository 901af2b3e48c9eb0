/** Requests have a deadline, never reject, and end with the elector; reads for callers are shared. Times are milliseconds. */
import { getEventListeners } from 'node:events';
import { describe, expect, it } from 'vitest';
import { LeaseRequestError, type LeaseCall, type LeaderErrorCode } from '../../lib/election/index.js';
import { LeaseRequests, SharedRead, stopped, type Reply } from '../../lib/election/requests.js';
import { SimulatedTime } from '../../lib/testing/simulated-time.js';

/** A request that is answered by the test. */
interface Sent {
  readonly call: LeaseCall;
  answer(): void;
  fail(error: Error): void;
  readonly reply: Promise<Reply<string>>;
}

function requests() {
  const time = new SimulatedTime();
  const lane = new LeaseRequests(time.clock());
  const send = (signal?: AbortSignal): Sent => {
    let parts: Omit<Sent, 'reply'> | undefined;
    const reply = lane.send(
      1_000,
      (call) =>
        new Promise<string>((resolve, reject) => {
          parts = {
            call,
            answer: () => {
              resolve('answer');
            },
            fail: reject,
          };
        }),
      signal,
    );
    return { ...(parts as Omit<Sent, 'reply'>), reply };
  };
  return { time, lane, send };
}

const failing = (code: LeaderErrorCode, maybeCommitted: boolean, message: RegExp, more: object = {}) => ({
  ok: false,
  error: { code, maybeCommitted, message: expect.stringMatching(message) as string, ...more },
});

describe('a request', () => {
  it('fails after its patience, and may have been carried out; the lock is told', async () => {
    const { time, send } = requests();
    const { call, reply } = send();
    await time.advance(999);
    expect(call.signal.aborted).toBe(false);
    await time.advance(1);
    expect(call.signal.aborted).toBe(true);
    expect(await reply).toMatchObject(failing('LEADER_REQUEST_TIMEOUT', true, /^No answer within 1000 ms/));
    expect(time.pending).toBe(0);
  });

  it('that is still being prepared when its patience ends was not sent, and says what it waits for', async () => {
    const { time, send } = requests();
    const { call, reply } = send();
    await time.advance(500);
    call.preparing?.('credentials');
    await time.advance(500);
    expect(await reply).toMatchObject(
      failing('LEADER_REQUEST_TIMEOUT', false, /was not sent within 1000 ms.* waiting for credentials/),
    );
  });

  it('has its whole patience from when it has been prepared', async () => {
    const { time, send } = requests();
    const { call, reply } = send();
    call.preparing?.('credentials');
    await time.advance(900);
    call.preparing?.(undefined);
    await time.advance(999);
    expect(call.signal.aborted).toBe(false);
    expect(time.pending).toBe(1);
    await time.advance(1);
    expect(await reply).toMatchObject(failing('LEADER_REQUEST_TIMEOUT', true, /^No answer/));
  });

  it('that was answered leaves nothing behind, also if the lock still prepares it', async () => {
    const { time, send } = requests();
    const { signal } = new AbortController();
    const { call, answer, reply } = send(signal);
    answer();
    expect(await reply).toEqual({ ok: true, value: 'answer' });
    call.preparing?.(undefined);
    expect(time.pending).toBe(0);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  it('ends when its caller gives up, for the reason that the caller gives', async () => {
    const { send } = requests();
    const giveUp = new AbortController();
    const { call, reply } = send(giveUp.signal);
    giveUp.abort('enough');
    expect(call.signal.aborted).toBe(true);
    expect(await reply).toMatchObject(
      failing('LEADER_REQUEST_TIMEOUT', true, /aborted/, { cause: 'enough' }),
    );
  });

  it('of a caller that has given up is not sent', async () => {
    const { lane } = requests();
    let sent = 0;
    const reply = lane.send(1_000, () => Promise.resolve((sent += 1)), AbortSignal.abort('enough'));
    expect(await reply).toMatchObject(
      failing('LEADER_REQUEST_TIMEOUT', true, /aborted/, { cause: 'enough' }),
    );
    expect(sent).toBe(0);
  });

  it('in flight when the elector stops may have been carried out, and leaves no timer behind', async () => {
    const { time, lane, send } = requests();
    const both = [send(), send()].map(({ reply }) => reply);
    lane.abortAll();
    expect(time.pending).toBe(0);
    const ended = failing('LEADER_STOPPED', true, /stopped while/);
    expect(await Promise.all(both)).toMatchObject([ended, ended]);
  });

  it('needs a new connection while another hangs, and after one without an answer', async () => {
    const { time, send } = requests();
    const first = send();
    const beside = send();
    beside.answer();
    await beside.reply;
    await time.advance(1_000);
    await first.reply;
    const afterTimeout = send();
    afterTimeout.answer();
    await afterTimeout.reply;
    const afterAnswer = send();
    afterAnswer.fail(new LeaseRequestError('LEADER_SERVER_ERROR', 'planted', { maybeCommitted: false }));
    await afterAnswer.reply;
    const afterRefusal = send();
    const all = [first, beside, afterTimeout, afterAnswer, afterRefusal];
    expect(all.map(({ call }) => call.newConnection)).toEqual([false, true, true, false, false]);
  });
});

function sharedReads() {
  const time = new SimulatedTime();
  const sent: ((reply: Reply<string>) => void)[] = [];
  const shared = new SharedRead<string>(
    time.clock(),
    500,
    () => new Promise((resolve) => void sent.push(resolve)),
  );
  const heard: string[] = [];
  const ask = (name: string): void => {
    void shared.ask().then((reply) => heard.push(`${name} ${reply.ok ? reply.value : reply.error.code}`));
  };
  const reply = async (index: number, value?: string): Promise<void> => {
    const error = new LeaseRequestError('LEADER_UNREACHABLE', 'planted', { maybeCommitted: false });
    sent[index]?.(value === undefined ? { ok: false, error } : { ok: true, value });
    await time.settle();
  };
  return { time, sent, shared, heard, ask, reply };
}

describe('a read for callers', () => {
  it('is shared by the calls of one turn, and sent after them', async () => {
    const { time, sent, heard, ask, reply } = sharedReads();
    ask('a');
    ask('b');
    expect(sent).toHaveLength(0);
    await time.settle();
    expect(sent).toHaveLength(1);
    await reply(0, 'one');
    expect(heard).toEqual(['a one', 'b one']);
    expect(time.pending).toBe(0);
  });

  it('is not that in flight, but the next, which is sent when that was answered', async () => {
    const { time, sent, heard, ask, reply } = sharedReads();
    ask('a');
    await time.settle();
    ask('b');
    await time.settle();
    ask('c');
    await time.settle();
    expect(sent).toHaveLength(1);
    await reply(0, 'one');
    expect(heard).toEqual(['a one']);
    expect(sent).toHaveLength(2);
    await reply(1, 'two');
    expect(heard).toEqual(['a one', 'b two', 'c two']);
  });

  it('is sent after a while if that in flight is not answered; a success also answers the callers before', async () => {
    const { time, sent, heard, ask, reply } = sharedReads();
    ask('a');
    await time.settle();
    ask('b');
    await time.advance(499);
    expect(sent).toHaveLength(1);
    await time.advance(1);
    expect(sent).toHaveLength(2);
    await reply(1, 'two');
    expect(heard).toEqual(['a two', 'b two']);
    await reply(0, 'one');
    expect(heard).toHaveLength(2);
  });

  it('that fails passes its callers to the next in flight, and fails them if there is none', async () => {
    const { time, heard, ask, reply } = sharedReads();
    ask('a');
    await time.settle();
    ask('b');
    await time.advance(500);
    await reply(0);
    expect(heard).toEqual([]);
    await reply(1);
    expect(heard).toEqual(['b LEADER_UNREACHABLE', 'a LEADER_UNREACHABLE']);
  });

  it('that fails after the next does not fail the callers of the one before', async () => {
    const { time, heard, ask, reply } = sharedReads();
    ask('a');
    await time.settle();
    ask('b');
    await time.advance(500);
    await reply(1);
    expect(heard).toEqual(['b LEADER_UNREACHABLE']);
    await reply(0, 'one');
    expect(heard).toEqual(['b LEADER_UNREACHABLE', 'a one']);
  });

  it('that fails after a later one has answered its callers changes nothing for the next', async () => {
    const { time, heard, ask, reply } = sharedReads();
    ask('a');
    await time.settle();
    ask('b');
    await time.advance(500);
    await reply(1, 'two');
    ask('c');
    await time.settle();
    await reply(0);
    await reply(2, 'three');
    expect(heard).toEqual(['a two', 'b two', 'c three']);
  });

  it('does not let the next go early when an older one is answered', async () => {
    const { time, sent, heard, ask, reply } = sharedReads();
    ask('a');
    await time.settle();
    ask('b');
    await time.advance(500);
    ask('c');
    await reply(0, 'one');
    expect(heard).toEqual(['a one']);
    expect(sent).toHaveLength(2);
  });

  it('that was not sent yet is abandoned when the elector stops', async () => {
    const { time, sent, shared, heard, ask } = sharedReads();
    ask('a');
    await time.settle();
    ask('b');
    shared.abandon(stopped());
    await time.settle();
    expect(heard).toEqual(['b LEADER_STOPPED']);
    expect(time.pending).toBe(0);
    expect(sent).toHaveLength(1);
  });
});
