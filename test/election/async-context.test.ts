/** An election runs in the async context of its `run()`, whoever causes its events. */
import { AsyncLocalStorage, AsyncResource } from 'node:async_hooks';
import { describe, expect, it } from 'vitest';
import {
  JointElector,
  LeaseElector,
  ScriptedElector,
  SlotElector,
  StaticElector,
  currentTerm,
  resolveElectionOptions,
  runInTerm,
  type Candidacy,
  type Clock,
  type Elector,
  type LeadershipTerm,
} from '../../lib/election/index.js';
import { SimulatedLease, type SimulatedLeaseLock } from '../../lib/testing/simulated-lease.js';
import { SimulatedTime } from '../../lib/testing/simulated-time.js';

const context = new AsyncLocalStorage<string>();

/** One process, whose timers keep the context in which they were set, as Node's do. */
class Process {
  readonly time = new SimulatedTime();
  readonly clock: Clock;
  /** The context of each event, each request and each new timer. */
  readonly seenIn = new Set<string | undefined>();
  readonly events: string[] = [];
  readonly stop = new AbortController();
  stands = true;
  candidacyChanged: () => void = () => undefined;
  readonly candidacy: Candidacy;

  constructor() {
    const clock = this.time.clock();
    const note = (): void => {
      this.seenIn.add(context.getStore());
    };
    this.clock = {
      now: () => clock.now(),
      date: () => clock.date(),
      random: () => clock.random(),
      setTimer: (delayMs, callback) => {
        note();
        return clock.setTimer(delayMs, AsyncResource.bind(callback));
      },
    };
    const stands = (): boolean => this.stands;
    this.candidacy = {
      get stands() {
        return stands();
      },
      objection: undefined,
      observe: (changed) => {
        this.candidacyChanged = changed;
        return () => undefined;
      },
    };
  }

  lock(): SimulatedLeaseLock {
    const lock = new SimulatedLease(this.time).lock('me');
    lock.fate = () => {
      this.seenIn.add(context.getStore());
      return 'answer';
    };
    return lock;
  }

  options(leaseName = 'x'): ReturnType<typeof resolveElectionOptions> {
    return resolveElectionOptions({ leaseName, drainTimeout: 0 }, { leaseNamespace: 'y', identity: 'me' });
  }

  start(elector: Elector): void {
    context.run('run', () => {
      void elector.run(this.stop.signal, (event) => {
        this.seenIn.add(context.getStore());
        this.events.push(event.type);
      });
    });
  }
}

const electors: Record<string, (process: Process) => Elector> = {
  'an elector on a Lease': (process) =>
    new LeaseElector({
      lock: process.lock(),
      clock: process.clock,
      candidacy: process.candidacy,
      options: process.options(),
    }),
  'an elector on two Leases': (process) =>
    new JointElector({
      lock: process.lock(),
      also: { leaseName: 'also', lock: process.lock() },
      clock: process.clock,
      candidacy: process.candidacy,
      options: process.options(),
    }),
  'an elector with several slots': (process) =>
    new SlotElector({
      locks: [process.lock(), process.lock()],
      clock: process.clock,
      candidacy: process.candidacy,
      options: process.options(),
    }),
  'a static elector': ({ clock }) => new StaticElector({ role: 'leader', clock }),
};

const termOf = ({ state }: Elector): LeadershipTerm => {
  if (state.kind !== 'leading') throw new Error(`it is ${state.kind}`);
  return state.term;
};

const withLease = Object.keys(electors).filter((name) => name !== 'a static elector');
const byItself: [string, (elector: Elector, process: Process) => unknown][] = [
  ['stepDown()', (elector) => elector.stepDown({ cooldown: 1_000 })],
  [
    'the end of work that a hand-over waits for',
    async (elector, process) => {
      const leave = termOf(elector).enter();
      void context.run('run', () => elector.stepDown({ cooldown: 1_000 }));
      await process.time.advance(100);
      leave();
    },
  ],
  [
    'the signal of run()',
    (_, { stop }) => {
      stop.abort();
    },
  ],
];
const onLease: [string, (elector: Elector, process: Process) => unknown][] = [
  [
    'isOver that finds the term over',
    (elector, { time }) => {
      const term = termOf(elector);
      time.jump(12_000);
      expect(term.isOver).toBe(true);
    },
  ],
  [
    'throwIfOver() that finds the term over',
    (elector, { time }) => {
      const term = termOf(elector);
      time.jump(12_000);
      expect(() => {
        term.throwIfOver();
      }).toThrow();
    },
  ],
  [
    'the state, read when the term is over',
    (elector, { time }) => {
      time.jump(12_000);
      expect(elector.state.kind).not.toBe('leading');
    },
  ],
  ['confirm()', (elector) => termOf(elector).confirm()],
  [
    'a candidacy that changes',
    async (_, process) => {
      process.stands = false;
      process.candidacyChanged();
      await process.time.advance(3_000);
      process.stands = true;
      process.candidacyChanged();
    },
  ],
];
const rows = [
  ...Object.keys(electors).flatMap((name) => byItself.map(([what, act]) => [name, what, act] as const)),
  ...withLease.flatMap((name) => onLease.map(([what, act]) => [name, what, act] as const)),
];

it.each(rows)('%s: the effects of %s run in the context of run()', async (name, _, act) => {
  const process = new Process();
  const elector = electors[name]?.(process) as Elector;
  process.start(elector);
  // Events of the network and the machine have no context.
  await process.time.advance(500);
  expect(elector.state.kind).toBe('leading');
  process.seenIn.clear();
  const done = context.run('request', () => act(elector, process));
  await process.time.advance(60_000);
  await done;
  expect([...process.seenIn]).toEqual(process.seenIn.size === 0 ? [] : ['run']);
  expect(process.events).toContain('startedLeading');
});

it('the reply to askForLease() is handled in the context of run()', async () => {
  const process = new Process();
  const lease = new SimulatedLease(process.time);
  const other = new LeaseElector({
    lock: lease.lock('other'),
    clock: process.time.clock(),
    options: { ...process.options(), identity: 'other' },
  });
  void other.run(new AbortController().signal, () => undefined);
  await process.time.advance(100);
  const lock = lease.lock('me');
  lock.fate = () => {
    process.seenIn.add(context.getStore());
    return 'answer';
  };
  const elector = new LeaseElector({
    lock,
    clock: process.clock,
    options: { ...process.options(), spread: true },
  });
  process.start(elector);
  await process.time.advance(500);
  process.seenIn.clear();
  void context.run('request', () => elector.askForLease());
  await process.time.advance(60_000);
  expect([...process.seenIn]).toEqual(['run']);
});

describe('a scripted elector', () => {
  it.each<[string, (elector: ScriptedElector) => void]>([
    [
      'grant()',
      (elector) => {
        elector.grant();
      },
    ],
    [
      'revoke()',
      (elector) => {
        context.run('run', () => {
          elector.grant();
        });
        elector.revoke();
      },
    ],
    [
      'fail()',
      (elector) => {
        context.run('run', () => {
          elector.grant();
        });
        elector.fail(new Error('planted'));
      },
    ],
  ])('reports the effects of %s in the context of run()', (_, act) => {
    const process = new Process();
    const elector = new ScriptedElector({ clock: process.clock });
    const seenIn = new Set<string | undefined>();
    context.run('run', () => {
      elector.run(process.stop.signal, () => seenIn.add(context.getStore())).catch(() => undefined);
    });
    context.run('request', () => {
      act(elector);
    });
    expect([...seenIn]).toEqual(['run']);
  });
});

it('a listener that is called because work found its term over does not run as work of that term', async () => {
  const process = new Process();
  const elector = electors['an elector on a Lease']?.(process) as Elector;
  const inWork: boolean[] = [];
  void elector.run(process.stop.signal, ({ type }) => {
    if (type !== 'stoppedLeading') return;
    try {
      currentTerm();
      inWork.push(true);
    } catch {
      inWork.push(false);
    }
  });
  await process.time.advance(500);
  const term = termOf(elector);
  process.time.jump(12_000);
  runInTerm('default', term, () => {
    expect(() => {
      term.throwIfOver();
    }).toThrow();
  });
  expect(inWork).toEqual([false]);
});
