/**
 * Faults planted in the election, each with the guarantee of design.md §1 that it breaks: the simulation must find it, and
 * name that guarantee. Texts are those of the built package.
 */
import type { Guarantee } from '../../lib/testing/simulation/index.js';

/** One fault. */
export interface Mutant {
  readonly what: string;
  readonly breaks: Guarantee;
  /** In which file of the built package what is replaced by what. */
  readonly changes: readonly (readonly [file: string, text: string, replacement: string])[];
}

export const mutants: readonly Mutant[] = [
  {
    what: 'validity is stamped after the reply',
    breaks: 'G4',
    changes: [
      [
        'election/lease-elector.js',
        'validityOf(attempt.sentAt, attempt.sentOn, this.#options.renewDeadline)',
        'validityOf(this.#clock.now(), this.#clock.date(), this.#options.renewDeadline)',
      ],
    ],
  },
  {
    what: 'a term does not look at the clock',
    breaks: 'G2',
    changes: [
      [
        'election/active-term.js',
        'if (this.#clock.now() < this.#validity.until && this.#clock.date() < this.#validity.untilDate)',
        'if (true)',
      ],
      [
        'election/active-term.js',
        'Math.min(this.validFor(), LONGEST_BETWEEN_LOOKS_MS)',
        'LONGEST_BETWEEN_LOOKS_MS',
      ],
    ],
  },
  {
    what: 'nothing looks at the clock by itself',
    breaks: 'G4',
    changes: [
      [
        'election/active-term.js',
        'this.#lookLater();\n    }\n    get fencingToken',
        '}\n    get fencingToken',
      ],
    ],
  },
  {
    what: 'the wall clock is not a witness',
    breaks: 'G1',
    changes: [
      ['election/active-term.js', '&& this.#clock.date() < this.#validity.untilDate', ''],
      [
        'election/active-term.js',
        'Math.min(this.#validity.until - this.#clock.now(), this.#validity.untilDate - this.#clock.date())',
        'this.#validity.until - this.#clock.now()',
      ],
    ],
  },
  {
    what: "the record's duration is not respected",
    breaks: 'G1',
    changes: [['election/owed.js', 'seconds * 1000)', '1000)']],
  },
  {
    what: 'the timer does not move with what is seen',
    breaks: 'G1',
    changes: [
      [
        'election/observe.js',
        'const heldUntil = later(owedTo(lease, hearing), owedBefore);',
        "const heldUntil = previous.kind === 'present' && previous.heldUntil > seenAt ? previous.heldUntil : owedTo(lease, hearing);",
      ],
    ],
  },
  {
    what: 'a deletion frees the lease at once',
    breaks: 'G1',
    changes: [['election/observe.js', 'heldUntil: owedAfter(previous, hearing),', 'heldUntil: LONG_AGO,']],
  },
  {
    what: 'an own record is dated from when it was seen',
    breaks: 'G1',
    changes: [
      [
        'election/observe.js',
        'validityOf(sent.sentAt, sent.sentOn, renewDeadline)',
        'validityOf(arguments[1].seenAt, arguments[1].seenOn, arguments[1].leaseDuration)',
      ],
    ],
  },
  {
    what: 'a Lease of ours that is gone can have had no other holder',
    breaks: 'G1',
    changes: [
      [
        'election/observe.js',
        'validityOf(sent.sentAt, sent.sentOn, renewDeadline)',
        'validityOf(Infinity, Infinity, 0)',
      ],
    ],
  },
  {
    what: "a release's reply is dated from when it came",
    breaks: 'G4',
    changes: [
      [
        'election/lease-traffic.js',
        'this.#onStored(outcome.stored, outcome.sentAt)',
        'this.#onRead(outcome.stored, this.#host.clock.now())',
      ],
    ],
  },
  {
    what: 'a touch of the record ends the term',
    breaks: 'G7',
    changes: [['election/touch.js', 'return (known.mine &&', 'return (false && known.mine &&']],
  },
  {
    what: 'the own name in a record makes it the own record',
    breaks: 'G1',
    changes: [
      [
        'election/lease-sight.js',
        'record.holderIdentity === this.#identity ? this.ledger.sendingOf(record) : undefined',
        'record.holderIdentity === this.#identity ? (this.ledger.sendingOf(record) ?? { sentAt: 0, sentOn: 0 }) : undefined',
      ],
    ],
  },
  {
    what: 'a release is written over whatever is there',
    breaks: 'G1',
    changes: [
      ['election/lease-release.js', '!sight.doubtful && sight.ours === undefined', 'lease === undefined'],
      [
        'election/lease-release.js',
        'current = sight.ours;\n            }',
        'current = lease;\n            }',
      ],
    ],
  },
  {
    what: 'a watch event is trusted: an empty holder is leadership',
    breaks: 'G3',
    changes: [
      [
        'election/lease-elector.js',
        'this.#traffic.onWatchEvent(event);\n',
        `const now = this.#clock.now();
                this.#traffic.onWatchEvent(event);
        if (event.kind === 'seen' && event.snapshot.record.holderIdentity === '' && this.#phases.current.kind === 'following')
            this.#phases.begin({ fencingToken: BigInt(event.snapshot.resourceVersion), validity: validityOf(now, this.#clock.date(), this.#options.renewDeadline) });
`,
      ],
    ],
  },
  {
    what: 'a write is not conditional on the version seen',
    breaks: 'G1',
    changes: [['testing/simulated-lease.js', ' || stored.resourceVersion !== base.resourceVersion', '']],
  },
  {
    what: 'a write carries no uid: a renewal makes a deleted Lease again',
    breaks: 'G4',
    changes: [
      [
        'testing/simulated-lease.js',
        'const stored = this.#stored;\n        if (stored?.uid',
        `const stored = this.#stored;
        if (stored === undefined)
            return { kind: 'written', snapshot: this.#store(client, record, base.uid, true) };
        if (stored?.uid`,
      ],
    ],
  },
  {
    what: 'the token is the number of transitions',
    breaks: 'G3',
    changes: [
      [
        'election/lease-elector.js',
        'BigInt(observation.snapshot.resourceVersion)',
        'BigInt(observation.snapshot.record.leaseTransitions)',
      ],
    ],
  },
  {
    what: 'a term is told of before the state has changed',
    breaks: 'G4',
    changes: [
      [
        'election/phases.js',
        'this.#now = phase;\n        this.tell(this.#stateChanged(), ...events);',
        'this.tell(...events);\n        this.#now = phase;',
      ],
    ],
  },
  {
    what: 'the lease is released before the work has ended',
    breaks: 'G5',
    changes: [
      [
        'election/phases.js',
        'this.#work.whenIdle(() => {\n            cancel();\n            callback();\n        });',
        'cancel();\n        callback();',
      ],
    ],
  },
  {
    what: 'the lease is not renewed while the work ends',
    breaks: 'G5',
    changes: [
      [
        'election/phases.js',
        "phase.kind === 'handingOver' && phase.awaiting === 'release' ?",
        "phase.kind === 'handingOver' ?",
      ],
    ],
  },
  {
    what: 'work is told to stop only when the lease is given up',
    breaks: 'G5',
    changes: [
      [
        'election/phases.js',
        "term.close(reason);\n        if (from.kind === 'starting')",
        "if (from.kind === 'starting')",
      ],
    ],
  },
  {
    what: 'a closed gate lets calls in',
    breaks: 'G5',
    changes: [
      [
        'election/active-term.js',
        'this.throwIfOver();\n        return this.#owner.work.enter();',
        'return this.#owner.work.enter();',
      ],
    ],
  },
  {
    what: 'a process campaigns while work of its last term runs',
    breaks: 'G5',
    changes: [['election/phases.js', 'this.#work.running > 0 ?', 'false ?']],
  },
  {
    what: 'after a release the next look is as late as after a failure',
    breaks: 'G6',
    changes: [['election/pacing.js', 'this.#clock.random() * RELEASE_JITTER_MS', 'this.#retryPeriod']],
  },
  {
    what: 'stepping down does not release',
    breaks: 'G6',
    changes: [
      [
        'election/phases.js',
        "reason !== 'stopped' || this.#host.options.releaseOnCancel",
        "reason === 'released'",
      ],
    ],
  },
  {
    what: 'a follower waits for its watch only',
    breaks: 'G7',
    changes: [
      [
        'election/decide.js',
        'if (now >= claimAt) {',
        "if (now >= claimAt && (observation.kind === 'absent' || observation.snapshot.record.holderIdentity === '')) {",
      ],
    ],
  },
  {
    what: 'a write that failed is tried again at once',
    breaks: 'G7',
    changes: [
      ['election/lane.js', 'later(this.#notBefore, this.#haste.notBefore)', 'this.#notBefore'],
      ['election/pacing.js', 'atOnce ? LONG_AGO : this.#retryAt(sentAt, sender)', 'LONG_AGO'],
    ],
  },
  {
    what: 'failures are not told of',
    breaks: 'G7',
    changes: [
      [
        'election/lease-elector.js',
        "failed: (error) => {\n                this.#phases.tell({ type: 'error', error });",
        'failed: (error) => {',
      ],
    ],
  },
  {
    what: 'a refused permission ends the campaign',
    breaks: 'G7',
    changes: [
      [
        'election/lease-elector.js',
        'failed: (error) => {\n',
        "failed: (error) => {\n        if (error.code === 'LEADER_FORBIDDEN')\n            this.#phases.leave();\n",
      ],
    ],
  },
  {
    what: 'a look beside the election sends its next request at once',
    breaks: 'G7',
    changes: [
      ['election/lane.js', 'if (this.#unanswered <= this.#mayBeUnanswered)', ''],
      ['election/lane.js', 'later(this.#notBefore, this.#haste.notBefore)', 'this.#notBefore'],
      [
        'election/lease-traffic.js',
        '        if (reply.ok)\n            this.#onRead(reply.value, sentAt);\n',
        `        if (reply.ok) {
            this.#onRead(reply.value, sentAt);
            this.pacing.hurry();
        }
`,
      ],
    ],
  },
  {
    what: 'a confirm is answered by a read that was under way when it was asked for',
    breaks: 'G2',
    changes: [
      [
        'election/shared-read.js',
        'this.#asking.push(resolve);\n',
        `if (this.#underWay.length > 0) {
                this.#underWay[0].asking.push(resolve);
                return;
            }
            this.#asking.push(resolve);
`,
      ],
    ],
  },
  {
    what: 'a watch that broke is opened again after a retryPeriod',
    breaks: 'G6',
    changes: [['election/watch-keeper.js', 'if (isFirst)', 'if (false)']],
  },
  {
    what: 'a claim that failed once is made again after a retryPeriod',
    breaks: 'G6',
    changes: [
      ['election/lease-traffic.js', 'const atOnce = term === undefined &&', 'const atOnce = false &&'],
    ],
  },
  {
    what: 'a watch that lags is opened again at every renewal',
    breaks: 'G7',
    changes: [['election/watch-keeper.js', 'this.#retryPeriod * 2 ** this.#lateness', 'this.#retryPeriod']],
  },
  {
    what: 'a follower trusts a watch that is open and tells nothing',
    breaks: 'G6',
    changes: [['election/decide.js', '(view.silentAt ?? NEVER)', 'NEVER']],
  },
];
