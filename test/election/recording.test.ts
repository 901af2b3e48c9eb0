/** A recording of an election: one line of JSON for each step, from which it can be replayed. */
import { describe, expect, it } from 'vitest';
import {
  LeaderError,
  LeaseRequestError,
  resolveElectionOptions,
  stepRecorder,
  type ElectionTrace,
  type LeaseLock,
} from '../../lib/election/index.js';
import { WriteNotKeptError } from '../../lib/election/lease.js';
import { newElection } from '../../lib/election/machine.js';

type Event = Parameters<ElectionTrace>[0];
type Effects = Parameters<ElectionTrace>[1];

const AT = { now: 1, date: 2, chance: 0.5, running: 0, stands: true } as unknown as Event['at'];

const STATE = newElection({
  options: resolveElectionOptions(
    { leaseName: 'billing', labels: { team: 'secret-label' } },
    { leaseNamespace: 'default', identity: 'baz' },
  ),
  slot: 0,
  lease: 'default/billing',
  canWatch: true,
  isGuarded: false,
});

function recorder(): { record: (event: object, effects?: unknown) => string } {
  let last = '';
  const trace = stepRecorder((line) => {
    last = line;
  });
  return {
    record: (event, effects = []) => {
      trace({ ...event, at: AT } as Event, effects as Effects, STATE);
      return last;
    },
  };
}

const failed = (error: LeaderError): object => ({
  type: 'readReplied',
  number: 1,
  reply: { ok: false, error },
});

describe('stepRecorder()', () => {
  it('writes the settings once, and each step with its effects and the next wake-up', () => {
    const { record } = recorder();
    const first = JSON.parse(
      record({ type: 'start' }, [{ do: 'read', number: 1, patienceMs: 5_000 }]),
    ) as object;
    expect(first).toMatchObject({
      config: { options: { leaseName: 'billing', identity: 'baz' }, canWatch: true, isGuarded: false },
      event: { type: 'start', at: AT },
      effects: [{ do: 'read', number: 1, patienceMs: 5_000 }],
      wakeAt: 'Infinity',
    });
    expect(record({ type: 'timePassed' })).not.toContain('config');
  });

  it('writes an error by its code, and what the election depends on', () => {
    const { record } = recorder();
    const error = new LeaseRequestError('LEADER_THROTTLED', 'secret-message', {
      maybeCommitted: true,
      retryAfterMs: 7,
    });
    const equal = new LeaseRequestError('LEADER_THROTTLED', 'secret-message', {
      maybeCommitted: true,
      retryAfterMs: 7,
    });
    const other = new LeaseRequestError('LEADER_THROTTLED', 'a', { maybeCommitted: false });
    const errorIn = (line: string): Record<string, unknown> =>
      (JSON.parse(line) as { event: { reply: { error: Record<string, unknown> } } }).event.reply.error;
    const unkept = new WriteNotKeptError({ describe: () => 'billing' } as LeaseLock, ['renewTime'], '8');
    const [one, again, like, unlike, kept] = [error, error, equal, other, unkept].map((each) =>
      errorIn(record(failed(each))),
    );
    expect(one).toMatchObject({ code: 'LEADER_THROTTLED', maybeCommitted: true, retryAfterMs: 7, number: 1 });
    expect(again).toEqual(one);
    expect(like).toEqual({ ...one, number: 2 });
    // The checksum of the message is FNV-1a.
    expect(unlike).toMatchObject({ maybeCommitted: false, number: 3, message: 'e40c292c' });
    expect(unlike?.['message']).not.toBe(one?.['message']);
    expect(kept).toMatchObject({ code: 'LEADER_WRITE_NOT_KEPT', keptVersion: '8' });
    const told = record({ type: 'timePassed' }, [{ do: 'tell', event: { type: 'error', error } }]);
    expect(JSON.parse(told)).toMatchObject({ effects: [{ event: { error: { code: 'LEADER_THROTTLED' } } }] });
  });

  it('has no message, no label, no address, and nothing else of the Lease', () => {
    const { record } = recorder();
    const lease = {
      record: { holderIdentity: 'baz', note: { address: 'http://user:secret-address@host', priority: 3 } },
      resourceVersion: '7',
      uid: 'u',
      carried: { annotations: { token: 'secret-annotation' } },
    };
    const lines = [
      record({ type: 'start' }),
      record(
        failed(
          new LeaseRequestError('LEADER_UNREACHABLE', 'secret-message', {
            maybeCommitted: false,
            cause: new Error('secret-cause'),
          }),
        ),
      ),
      record({ type: 'readReplied', number: 1, reply: { ok: true, value: lease } }, [
        { do: 'write', number: 2, base: lease, record: lease.record, patienceMs: 1 },
        { do: 'tell', event: { type: 'error', error: new LeaderError('LEADER_LONG_LEASE', 'secret-told') } },
      ]),
    ];
    expect(lines.join('\n')).not.toContain('secret');
    expect(lines[2]).toContain('"note":{"priority":3}');
  });

  it('escapes what would hide or reorder the text of a log', () => {
    const holder = 'a\u202Eb\u0085c\u{E0041}d\ne';
    const event = { type: 'holderGone', process: holder };
    const line = recorder().record(event);
    expect(line).not.toMatch(/[\p{Cc}\p{Cf}]/u);
    expect(JSON.parse(line)).toMatchObject({ event });
  });

  it('ends with the step that ends the election', () => {
    const lines: string[] = [];
    const trace = stepRecorder((line) => lines.push(line));
    const stopped = { ...STATE, life: { ...STATE.life, phase: { kind: 'stopped' } } } as const;
    trace({ type: 'stop', at: AT }, [], stopped);
    trace({ type: 'timePassed', at: AT }, [], stopped);
    expect(lines).toHaveLength(1);
  });

  it('writes a token as a string', () => {
    const line = recorder().record({ type: 'timePassed' }, [
      { do: 'beginTerm', term: { fencingToken: 9007199254740993n } },
    ]);
    expect(JSON.parse(line)).toMatchObject({ effects: [{ term: { fencingToken: '9007199254740993' } }] });
  });
});
