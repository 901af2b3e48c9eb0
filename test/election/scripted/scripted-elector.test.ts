/** An elector whose terms the test begins and ends. */
import { getEventListeners } from 'node:events';
import { describe, expect, it } from 'vitest';
import {
  ScriptedElector,
  type ElectionEvent,
  type LeadershipTerm,
  type ScriptedElectorParts,
  type Role,
  type TermEndReason,
} from '../../../lib/election/index.js';
import { SimulatedTime } from '../../../lib/testing/simulated-time.js';

/** A ScriptedElector that runs, and what it tells about terms and leaders. */
class Running {
  readonly time = new SimulatedTime();
  readonly story: string[] = [];
  readonly elector: ScriptedElector;
  readonly stop = new AbortController();
  readonly ended: Promise<void>;

  constructor(
    parts: ScriptedElectorParts = {},
    before: (elector: ScriptedElector) => void = () => undefined,
  ) {
    this.elector = new ScriptedElector({ clock: this.time.clock(), ...parts });
    before(this.elector);
    this.ended = this.elector.run(this.stop.signal, (event) => {
      const line = inShort(event);
      if (line !== undefined) this.story.push(line);
    });
    this.ended.catch(() => undefined);
  }

  get term(): LeadershipTerm {
    const { state } = this.elector;
    if (state.kind !== 'leading') throw new Error(`It is ${state.kind}.`);
    return state.term;
  }
}

function inShort(event: ElectionEvent): string | undefined {
  if (event.type === 'startedLeading')
    return `term ${String(event.term.fencingToken)}, takeover ${String(event.takeover)}`;
  if (event.type === 'stoppedLeading') return event.reason;
  return event.type === 'newLeader' ? `leader ${event.identity}` : undefined;
}

describe('a ScriptedElector', () => {
  it('is what it is created as', () => {
    const clock = new SimulatedTime().clock();
    const parts = { leaseName: 'billing', identity: 'replica-1', clock };
    const { leaseName, identity, clock: its } = new ScriptedElector(parts);
    expect({ leaseName, identity, clock: its }).toEqual(parts);
    expect(new ScriptedElector()).toMatchObject({ leaseName: 'scripted', identity: 'me' });
  });

  it('counts the fencing tokens of its terms on, and shows who leads between them', async () => {
    const { elector, story, time } = new Running();
    elector.grant();
    elector.revoke('leaseGone', 'bing');
    expect(elector.state).toMatchObject({ kind: 'following', leader: 'bing' });
    elector.grant({ fencingToken: 0n, slot: 0 });
    await elector.stepDown();
    elector.grant({ fencingToken: 40n, slot: 2 });
    elector.revoke();
    elector.grant();
    await time.settle();
    expect(story).toEqual([
      'term 1, takeover none', 'leader me', 'leaseGone', 'leader bing',
      'term 0, takeover none', 'leader me', 'steppedDown', 'leader ',
      'term 40, takeover none', 'leader me', 'superseded', 'leader ',
      'term 41, takeover none', 'leader me',
    ]); // prettier-ignore
  });

  it('tells at the start what was played before', () => {
    const { story } = new Running({}, (elector) => {
      elector.revoke('superseded', 'bing');
    });
    expect(story).toEqual(['leader bing']);
  });

  it('has a term that runs out when it is granted for a time', async () => {
    const running = new Running();
    running.elector.grant({ validFor: 1_000 });
    const { term, time } = running;
    await time.advance(999);
    expect(term.signal.aborted).toBe(false);
    await time.advance(1);
    expect(term.signal.aborted).toBe(true);
    expect(running.story.slice(2)).toEqual(['deadline', 'leader ']);
  });

  it('hands over a term at termLimit, and then follows', async () => {
    const { elector, story, time } = new Running({ termLimit: 1_000 });
    elector.grant();
    await time.advance(999);
    expect(elector.state.kind).toBe('leading');
    await time.advance(1);
    expect(story.slice(2)).toEqual(['termLimit', 'leader ']);
    await time.advance(60_000);
    expect(elector.state.kind).toBe('following');
  });

  it('begins no second term when it is granted one while it leads', async () => {
    const { elector, time } = new Running();
    elector.grant({ validFor: 1_000 });
    elector.grant();
    await time.advance(1_000);
    expect(elector.state.kind).toBe('following');
  });

  it('follows after a hand-over until the next grant', async () => {
    const running = new Running();
    const { elector } = running;
    elector.grant();
    const leave = running.term.enter();
    void elector.stepDown();
    elector.grant();
    expect(elector.state.kind).toBe('handingOver');
    void elector.stepDown();
    leave();
    await running.time.settle();
    expect(elector.state.kind).toBe('following');
    elector.grant();
    expect(elector.state.kind).toBe('leading');
  });

  it('begins a term at once, also while work of a lost one runs', () => {
    const running = new Running();
    running.elector.grant();
    running.term.enter();
    running.elector.revoke();
    running.elector.grant();
    expect(running.elector.state.kind).toBe('leading');
  });

  it('loses its term at once when it fails, and rejects when the work has ended', async () => {
    const running = new Running();
    const { elector, ended, time } = running;
    elector.grant();
    const leave = running.term.enter();
    elector.fail(new Error('planted'));
    expect(running.story.slice(2)).toEqual(['stopped', 'leader ']);
    let isOver = false;
    const over = ended.catch(() => {
      isOver = true;
    });
    await time.settle();
    expect(isOver).toBe(false);
    leave();
    await over;
    await expect(ended).rejects.toThrow('planted');
    expect(getEventListeners(running.stop.signal, 'abort')).toEqual([]);
  });

  it.each<[string, ScriptedElectorParts, string]>([
    [
      'drainTimeout',
      { drainTimeout: -1 },
      'drainTimeout is -1: it must be a number of milliseconds, 0 or more',
    ],
    ['termLimit', { termLimit: NaN }, 'termLimit is NaN: it must be a number of milliseconds, 0 or more'],
  ])('refuses an invalid %s', (_, parts, violation) => {
    expect(() => new ScriptedElector(parts)).toThrow(violation);
  });

  it.each<[string, unknown, string]>([
    ['fencingToken', 7, 'fencingToken is 7: it must be a bigint, 0n or more, as in 7n'],
    ['fencingToken', '7', "fencingToken is '7': it must be a bigint"],
    ['fencingToken', -1n, 'fencingToken is -1: it must be a bigint'],
    ['slot', -1, 'slot is -1: it must be a whole number, 0 or more'],
    ['slot', 1.5, 'slot is 1.5: it must be a whole number'],
    ['slot', '1', "slot is '1': it must be a whole number"],
    ['validFor', 0, 'validFor is 0: it must be a number of milliseconds above 0'],
    ['validFor', '5', "validFor is '5': it must be a number of milliseconds above 0"],
    ['validFor', NaN, 'validFor is NaN: it must be a number of milliseconds above 0'],
  ])('refuses to grant a term whose %s is %o', (name, value, violation) => {
    const { elector } = new Running();
    expect(() => {
      elector.grant({ [name]: value });
    }).toThrow(violation);
    expect(elector.state.kind).toBe('following');
  });

  it('refuses to lose a term for an unknown reason', () => {
    const { elector } = new Running();
    elector.grant();
    expect(() => {
      elector.revoke('bored' as TermEndReason);
    }).toThrow("the reason is 'bored': it must be one of released, deadline,");
    expect(elector.state.kind).toBe('leading');
  });
});

describe('the roles of a ScriptedElector', () => {
  /** A source of these roles, and how it was used. */
  function sourceOf(...roles: Role[]): { source: AsyncIterable<Role>; used: string[] } {
    const used: string[] = [];
    const source: AsyncIterable<Role> = {
      [Symbol.asyncIterator]: () => {
        used.push('opened');
        const left = roles.values();
        return {
          next: () => Promise.resolve(left.next()),
          return: () => {
            used.push('closed');
            return Promise.resolve({ done: true, value: undefined });
          },
        };
      },
    };
    return { source, used };
  }

  it('are not closed after they have come to their end', async () => {
    const { source, used } = sourceOf('leader');
    const { elector, stop, ended, time } = new Running({ roles: source });
    await time.settle();
    expect(elector.state.kind).toBe('leading');
    stop.abort();
    await ended;
    expect(used).toEqual(['opened']);
  });

  it('are not read if the election fails before it begins', async () => {
    const { source, used } = sourceOf('leader');
    const { ended } = new Running({ roles: source }, (elector) => {
      elector.fail(new Error('planted'));
    });
    await expect(ended).rejects.toThrow('planted');
    expect(used).toEqual([]);
  });
});
