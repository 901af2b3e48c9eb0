/**
 * Faults to plant in the election, each with the guarantee of docs/guarantees.md that it breaks. The simulation must find each
 * fault, and name that guarantee. A fault is planted in a copy of the built package, by replacing texts of its files.
 */
import type { FaultKind, Guarantee } from '../../lib/testing/simulation/index.js';

/** One fault. */
export interface Mutant {
  readonly what: string;
  readonly breaks: Guarantee;
  /** The faults of the fleets that show it more often than fleets with all kinds of faults do. Default: all kinds. */
  readonly strikes?: readonly FaultKind[];
  /** The texts to replace in files of the built package. Each text occurs once in its file. */
  readonly changes: readonly (readonly [file: string, text: string, replacement: string])[];
}

/** The faults for this: a leader is cut off, another takes over unseen, and the Lease is deleted. */
const MISSED_AND_DELETED = ['partition', 'repliesCut', 'leaseDeleted', 'ratesApart'] as const;

export const mutants: readonly Mutant[] = [
  {
    what: 'validity is stamped after the reply',
    breaks: 'G4',
    changes: [
      [
        'election/machine.js',
        'validityOf(attempt.sentAt, attempt.sentOn, config.options.renewDeadline)',
        'validityOf(now, date, config.options.renewDeadline)',
      ],
      // Renewals are sent as before, so that nothing else shows the fault.
      [
        'election/machine.js',
        'renewAfter: renewInterval }',
        'renewAfter: renewInterval - (now - attempt.sentAt) }',
      ],
      [
        'election/machine.js',
        'renewInterval * (1 - chance)',
        'renewInterval * (1 - chance) - (now - attempt.sentAt)',
      ],
    ],
  },
  {
    what: 'a term does not check the clock',
    breaks: 'G2',
    changes: [
      [
        'election/life.js',
        "import { isValid, validFor } from './observation.js';",
        "import { validFor } from './observation.js';\nconst isValid = () => true;",
      ],
      [
        'election/life.js',
        'after(now, validFor(term.validity, now, date))',
        'after(now, validFor(term.validity, now, date) + 1000)',
      ],
    ],
  },
  {
    what: 'nothing checks the clock until there is another event',
    breaks: 'G4',
    changes: [['election/life.js', 'term === undefined ? NEVER : after(now', 'true ? NEVER : after(now']],
  },
  {
    what: 'the wall clock is not checked',
    breaks: 'G1',
    strikes: ['suspended'],
    changes: [
      [
        'election/life.js',
        "import { isValid, validFor } from './observation.js';",
        "import { validFor } from './observation.js';\nconst isValid = (validity, now) => now < validity.until;",
      ],
      [
        'election/observation.js',
        'Math.min(validity.until - now, validity.untilDate - date)',
        'validity.until - now',
      ],
    ],
  },
  {
    what: "the record's duration is not respected",
    breaks: 'G1',
    changes: [['election/observation.js', 'seconds * 1000)', '1000)']],
  },
  {
    what: 'the timer does not move with sightings',
    breaks: 'G1',
    changes: [
      [
        'election/observation.js',
        'heldUntil: later(owedTo(lease, sighting), owedBefore), owedBefore };',
        "heldUntil: previous.kind === 'present' && previous.heldUntil > seenAt ? previous.heldUntil : owedTo(lease, sighting), owedBefore };",
      ],
    ],
  },
  {
    what: 'a deletion frees the lease at once',
    breaks: 'G1',
    changes: [
      ['election/observation.js', 'heldUntil: owedAfter(previous, sighting),', 'heldUntil: LONG_AGO,'],
    ],
  },
  {
    what: 'a deleted Lease of ours is assumed to have had no other holder',
    breaks: 'G1',
    strikes: MISSED_AND_DELETED,
    changes: [
      [
        'election/observation.js',
        'validityOf(sent.sentAt, sent.sentOn, renewDeadline)',
        'validityOf(Infinity, Infinity, 0)',
      ],
    ],
  },
  {
    what: 'the reply to a release counts from when it came',
    breaks: 'G4',
    changes: [
      [
        'election/machine.js',
        'onStored(turn, reply.value.snapshot, sentAt);\n        endRelease(turn);',
        'onRead(turn, reply.value.snapshot, turn.at.now);\n        endRelease(turn);',
      ],
    ],
    strikes: ['steppedDown', 'replyDelayed'],
  },
  {
    what: 'a touch of the record ends the term',
    breaks: 'G7',
    changes: [['election/observation.js', 'return (known.mine &&', 'return (false && known.mine &&']],
  },
  {
    what: 'a record with our own name counts as our own record',
    breaks: 'G1',
    changes: [
      [
        'election/sight.js',
        'return written.find((own) => sameRecord(own.record, record));',
        'return written.find((own) => sameRecord(own.record, record)) ?? { record, sentAt: 0, sentOn: 0 };',
      ],
    ],
  },
  {
    what: 'a release overwrites any record',
    breaks: 'G1',
    changes: [
      [
        'election/release.js',
        'const base = ours(sight);',
        "const base = sight.observation.kind === 'present' ? sight.observation.snapshot : undefined;",
      ],
    ],
  },
  {
    what: 'a watch event is trusted: an empty holder is leadership',
    breaks: 'G3',
    changes: [
      [
        'election/machine.js',
        'goOn(turn);\n    return { state: turn.state, effects: turn.effects };',
        `goOn(turn);
    const isTrusted = event.type === 'watchShowed' && event.stream === turn.state.watch.stream && event.event.kind === 'seen';
    if (isTrusted && event.event.snapshot.record.holderIdentity === '' && turn.life.phase.kind === 'following')
        beginTerm(turn, {
            fencingToken: BigInt(event.event.snapshot.resourceVersion),
            slot: 0,
            validity: validityOf(turn.at.now, turn.at.date, turn.state.config.options.renewDeadline),
        }, 'none');
    return { state: turn.state, effects: turn.effects };`,
      ],
    ],
  },
  {
    what: 'a write is not conditional on the version that was seen',
    breaks: 'G1',
    changes: [['testing/simulated-lease.js', ' || stored.resourceVersion !== base.resourceVersion', '']],
  },
  {
    what: 'a write has no uid: a renewal re-creates a deleted Lease',
    breaks: 'G1',
    changes: [
      [
        'testing/simulated-lease.js',
        'const { uid, carried } = base;\n        if (stored?.uid',
        `const { uid, carried } = base;
        if (stored === undefined)
            return { kind: 'written', snapshot: this.#store(client, { uid, carried, record }, true) };
        if (stored?.uid`,
      ],
    ],
  },
  {
    what: 'the token is the number of transitions',
    breaks: 'G3',
    changes: [
      [
        'election/machine.js',
        'BigInt(observation.snapshot.resourceVersion)',
        'BigInt(observation.snapshot.record.leaseTransitions)',
      ],
    ],
  },
  {
    what: 'a term is announced before the state has changed',
    breaks: 'G4',
    changes: [
      ['election/driver.js', 'this.#state = state;\n', ''],
      [
        'election/driver.js',
        'this.#queue(effect);\n        this.#trace(event, effects, state);',
        `this.#queue(effect);
        if (effects.some((effect) => effect.do === 'tell' && effect.event.type === 'startedLeading'))
            this.#announcer.tellQueued();
        this.#state = state;
        this.#trace(event, effects, state);`,
      ],
    ],
  },
  {
    what: 'the lease is released before the work has ended',
    breaks: 'G5',
    changes: [
      ['election/life.js', 'if (turn.at.running === 0)', 'if (turn.at.running >= 0)'],
      [
        'election/life.js',
        'if (turn.at.running > 0)\n        return;\n    change(turn, { drains: [] });',
        'change(turn, { drains: [] });',
      ],
    ],
  },
  {
    what: 'the lease is not renewed while the work ends',
    breaks: 'G5',
    changes: [
      [
        'election/machine.js',
        "if (phase.kind === 'handingOver' && phase.awaiting === 'close')",
        "if (phase.kind === 'handingOver')",
      ],
      [
        'election/life.js',
        "if (!('term' in phase) || extension.validity.until <=",
        "if (!('term' in phase) || phase.kind === 'handingOver' || extension.validity.until <=",
      ],
    ],
  },
  {
    what: 'work is told to stop only when the lease is released',
    breaks: 'G5',
    changes: [
      [
        'election/life.js',
        "(phase.kind === 'leading' || phase.kind === 'starting') &&",
        "'term' in phase &&",
      ],
      [
        'election/driver.js',
        "this.#close(effect.term, effect.reason);\n                this.feed({ type: 'termClosed'",
        "this.feed({ type: 'termClosed'",
      ],
    ],
  },
  {
    what: 'a process that exits releases its lease and does not end its term',
    breaks: 'G1',
    strikes: ['exited'],
    changes: [['election/lease-elector.js', "this.#driver.feedLast({ type: 'exit' });", '']],
  },
  {
    what: 'the phase of a pod is taken as proof',
    breaks: 'G1',
    changes: [
      [
        'election/death/evidence.js',
        "if (startedOn === undefined || (phase !== 'Failed' && phase !== 'Succeeded'))\n        return false;",
        "return phase === 'Failed' || phase === 'Succeeded';",
      ],
    ],
  },
  {
    what: 'the instances of a container are not compared',
    breaks: 'G1',
    changes: [
      [
        'election/death/evidence.js',
        'its.boot === ours.boot && its.start < ours.start && hasOtherLog(its, ours)',
        'true',
      ],
    ],
  },
  {
    what: 'an unknown instance is taken for another one',
    breaks: 'G1',
    changes: [
      [
        'election/death/evidence.js',
        'if (its === undefined || ours === undefined)\n        return false;',
        'if (its === undefined || ours === undefined)\n        return true;',
      ],
    ],
  },
  {
    what: 'an unknown container id and an unknown start are equal to any',
    breaks: 'G1',
    strikes: ['containerRestarted', 'statusStale'],
    changes: [
      [
        'election/death/evidence.js',
        'if (containerId === undefined || startedOn === undefined)\n        return false;\n',
        '',
      ],
      [
        'election/death/evidence.js',
        'end?.containerId === containerId && end.finishedOn > startedOn',
        'end !== undefined && (containerId ?? end.containerId) === end.containerId && end.finishedOn > (startedOn ?? 0)',
      ],
    ],
  },
  {
    what: 'the uid of the pod is not compared with that of this pod',
    breaks: 'G1',
    changes: [['election/death/evidence.js', 'holder.podUid !== own.podUid || ', '']],
  },
  {
    what: 'a pod is known by its name',
    breaks: 'G1',
    strikes: ['podDeleted', 'podPhaseSet', 'killed', 'exited'],
    changes: [['election/death/evidence.js', 'pod.metadata?.uid !== holder.podUid || ', '']],
  },
  {
    what: 'the id of the container is not compared',
    breaks: 'G1',
    changes: [
      [
        'election/death/evidence.js',
        'end?.containerId === containerId && end.finishedOn',
        'end !== undefined && end.finishedOn',
      ],
    ],
  },
  {
    what: 'a late status is taken for the own one, and the end in it is believed',
    breaks: 'G1',
    strikes: ['containerRestarted'],
    changes: [
      [
        'election/death/evidence.js',
        'startedAt === undefined || startedAt < startedOn',
        'startedAt === undefined',
      ],
      [
        'election/death/evidence.js',
        'end?.containerId === containerId && end.finishedOn > startedOn',
        'end?.containerId === containerId',
      ],
    ],
  },
  {
    what: 'the end of an earlier instance is the end of the pod',
    breaks: 'G1',
    strikes: ['containerRestarted', 'podPhaseSet', 'kubeletSilent'],
    changes: [
      [
        'election/death/evidence.js',
        'if (end?.startedOn === undefined || end.startedOn < startedOn || end.finishedOn <= startedOn)\n        return false;\n',
        '',
      ],
    ],
  },
  {
    what: 'the first process of a pod is taken for that of a container',
    breaks: 'G1',
    strikes: ['containerRestarted'],
    changes: [
      [
        'election/death/evidence.js',
        "return spec?.['shareProcessNamespace'] === true || spec?.['hostPID'] === true;",
        'return false;',
      ],
    ],
  },
  {
    what: 'what the kubelet guesses is believed',
    breaks: 'G1',
    changes: [
      [
        'election/death/evidence.js',
        "SEEN.includes(reason) && typeof exitCode === 'number' && exitCode >= 0 && exitCode < 255",
        'true',
      ],
    ],
  },
  {
    what: 'an end without a time is believed',
    breaks: 'G1',
    changes: [
      [
        'election/death/evidence.js',
        'const finishedOn = secondsOf(finishedAt);',
        'const finishedOn = secondsOf(finishedAt) ?? Infinity;',
      ],
    ],
  },
  {
    what: 'what a holder wrote about its process counts for the record of another client',
    breaks: 'G1',
    strikes: ['leaseTaken', 'killed'],
    changes: [
      [
        'testing/simulated-lease.js',
        'about !== undefined && isOf(about, record)',
        "about !== undefined && record.holderIdentity !== ''",
      ],
    ],
  },
  {
    what: 'a claim keeps what the holder before wrote about its process',
    breaks: 'G1',
    changes: [
      [
        'election/lease.js',
        'MOST_TRANSITIONS),\n        ...about,',
        'MOST_TRANSITIONS),\n        ...(previous?.process && { process: previous.process }),\n        ...about,',
      ],
    ],
  },
  {
    what: 'a proof of death counts for the next holder, too',
    breaks: 'G1',
    changes: [
      [
        'election/machine.js',
        'gone !== undefined && gone.process === processOf(sight.observation) ? gone.at : undefined',
        'gone?.at',
      ],
    ],
  },
  {
    what: 'a proof of death ends the debt to the holder of an earlier Lease',
    breaks: 'G1',
    strikes: ['leaseRecreated'],
    changes: [
      ['election/observation.js', 'later(goneAt, observation.owedBefore ?? LONG_AGO)', 'goneAt'],
      ['election/machine.js', 'if (owesToOthers(observation, now))\n        return;\n', ''],
    ],
  },
  {
    what: 'a dead holder is waited for like a living one',
    breaks: 'G6',
    changes: [
      [
        'election/observation.js',
        'earlier(observation.heldUntil, later(goneAt, observation.owedBefore ?? LONG_AGO))',
        'observation.heldUntil',
      ],
    ],
  },
  {
    what: 'a closed gate admits calls',
    breaks: 'G5',
    changes: [
      [
        'election/term.js',
        'this.throwIfOver();\n        return this.#owner.work.enter();',
        'return this.#owner.work.enter();',
      ],
    ],
  },
  {
    what: 'a process campaigns while work of its last term runs',
    breaks: 'G5',
    changes: [
      ['election/life.js', 'running > 0 ? later(cooldownUntil, drainUntil)', 'false ? cooldownUntil'],
    ],
  },
  {
    what: 'the claim of a released lease waits as long as after a failure',
    breaks: 'G6',
    changes: [
      [
        'election/machine.js',
        'pace.hurry(turn.state.pacing, turn.at.now) });\n}',
        'pace.hurry(turn.state.pacing, turn.at.now + turn.state.config.options.retryPeriod) });\n}',
      ],
    ],
  },
  {
    what: 'stepping down does not release',
    breaks: 'G6',
    changes: [
      [
        'election/machine.js',
        '!isStopping || config.options.releaseOnCancel',
        "phase.kind === 'leaving' && config.options.releaseOnCancel",
      ],
    ],
  },
  {
    what: 'a follower relies only on its watch',
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
    what: 'a write that failed is repeated at once',
    breaks: 'G7',
    changes: [
      [
        'election/pacing.js',
        'return later(lane.notBefore, hastyUntil(lane, rules.retryPeriod));',
        'return lane.notBefore;',
      ],
      ['election/pacing.js', 'atOnce ? LONG_AGO : retryAt(sentAt, sender, pacing.rules)', 'LONG_AGO'],
    ],
  },
  {
    what: 'failures are not reported',
    breaks: 'G7',
    changes: [
      [
        'election/machine.js',
        "changeProblems(turn, withProblem(turn.state.problems, kind, error, sentAt, until));\n    tell(turn, { type: 'error', error });",
        'changeProblems(turn, withProblem(turn.state.problems, kind, error, sentAt, until));',
      ],
    ],
  },
  {
    what: 'a refused permission ends the campaign',
    breaks: 'G7',
    changes: [
      [
        'election/machine.js',
        'function report(turn, kind, error, sentAt, until = NEVER) {\n',
        `function report(turn, kind, error, sentAt, until = NEVER) {
    if (error.code === 'LEADER_FORBIDDEN')
        onEvent(turn, { type: 'stop' });
`,
      ],
    ],
  },
  {
    what: 'a read for confirm() makes the election send its next request at once',
    breaks: 'G7',
    changes: [
      [
        'election/pacing.js',
        'return lane.unanswered <= UNANSWERED[kind] ? { ...lane, notBefore: at } : lane;',
        'return { ...lane, notBefore: at };',
      ],
      [
        'election/pacing.js',
        'return later(lane.notBefore, hastyUntil(lane, rules.retryPeriod));',
        'return lane.notBefore;',
      ],
      [
        'election/machine.js',
        'if (event.reply.ok)\n                onRead(turn, event.reply.value, event.sentAt);\n',
        `if (event.reply.ok) {
                onRead(turn, event.reply.value, event.sentAt);
                turn.change({ pacing: pace.hurry(turn.state.pacing, turn.at.now) });
            }
`,
      ],
    ],
  },
  {
    what: 'a confirm() is answered by a read that was already in flight',
    breaks: 'G2',
    changes: [
      [
        'election/requests.js',
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
    what: 'a watch that broke is reopened after a retryPeriod',
    breaks: 'G6',
    changes: [['election/watch.js', 'mayReopen ? asked : Math.max(pause, asked)', 'Math.max(pause, asked)']],
  },
  {
    what: 'a claim that failed once is repeated after a retryPeriod',
    breaks: 'G6',
    changes: [['election/machine.js', 'const atOnce = term === undefined &&', 'const atOnce = false &&']],
  },
  {
    what: 'a watch that lags is reopened at every renewal',
    breaks: 'G7',
    changes: [['election/watch.js', 'watch.retryPeriod * 2 ** lateness', 'watch.retryPeriod']],
  },
  {
    what: 'a follower trusts a watch that is open and silent',
    breaks: 'G6',
    changes: [['election/decide.js', '(view.silentAt ?? NEVER)', 'NEVER']],
  },
  {
    what: 'a renewal of a lost term begins a term when it is seen',
    breaks: 'G5',
    strikes: ['frozen', 'loopBlocked', 'repliesCut'],
    changes: [
      [
        'election/machine.js',
        'turn.change({ sight: voidAttempts(turn.state.sight) });\n    loseTerm(',
        'loseTerm(',
      ],
      ['election/machine.js', 'turn.change({ sight: voidAttempts(sight) });\n', ''],
      ['election/machine.js', ' || attempt.term !== renewableTerm(life)?.number)', ')'],
      [
        'election/machine.js',
        'if (attempt.term !== undefined) {',
        'if (attempt.term !== undefined && renewableTerm(life) !== undefined) {',
      ],
    ],
  },
  {
    what: 'the lease is renewed while its release is in flight',
    breaks: 'G5',
    changes: [
      [
        'election/life.js',
        "phase.kind === 'handingOver' && phase.awaiting === 'release' ? undefined : termIn(phase)",
        'termIn(phase)',
      ],
      [
        'election/machine.js',
        'goesOn = !awaitsRelease(turn.life);\n',
        `goesOn = !awaitsRelease(turn.life);
            const decision = goesOn || renewableTerm(turn.life) === undefined ? { do: 'wait' } : decideNow(turn);
            if (decision.do !== 'wait')
                act(turn, decision);
`,
      ],
    ],
  },
  {
    what: 'a process that has stepped down claims the lease again at once',
    breaks: 'G6',
    changes: [['election/life.js', 'cooldownUntil: after(turn.at.now, phase.cooldown)', '']],
  },
  {
    what: 'an election does not wake up when its next decision is due',
    breaks: 'G7',
    changes: [['election/machine.js', 'until = decision.until;', 'until = NEVER;']],
  },
  {
    what: 'a read counts from when its reply came',
    breaks: 'G4',
    changes: [
      [
        'election/machine.js',
        'hurryAfter(turn, onRead(turn, reply.value, sentAt, isOverdue));',
        'hurryAfter(turn, onRead(turn, reply.value, turn.at.now, isOverdue));',
      ],
    ],
  },
  {
    what: 'a process that has ended keeps its timer',
    breaks: 'G7',
    changes: [['election/driver.js', 'this.#alarm.clear();\n', '']],
  },
  {
    what: 'an answered request counts as in flight, and a release waits for it',
    breaks: 'G7',
    changes: [
      [
        'election/machine.js',
        'turn.change({ requests: turn.state.requests.filter((other) => other !== request) });\n',
        '',
      ],
    ],
  },
  {
    what: 'a request may take all of the time that is left',
    breaks: 'G7',
    changes: [
      [
        'election/pacing.js',
        'return Math.max(leftMs / 2, SHORTEST_PATIENCE_MS);',
        'return Math.max(leftMs, SHORTEST_PATIENCE_MS);',
      ],
    ],
  },
  {
    what: 'a request that is not answered is not sent again',
    breaks: 'G7',
    changes: [['election/pacing.js', 'laterBy(resendAfterMs(rules), sender.now, sender, rules)', 'NEVER']],
  },
  {
    what: 'a request is sent again on the connection of the first',
    breaks: 'G7',
    changes: [['election/requests.js', 'this.#underWay.size > 0 || this.#lastFailed', 'this.#lastFailed']],
  },
  {
    what: 'a leader obeys Retry-After for as long as a follower',
    breaks: 'G7',
    changes: [
      [
        'election/pacing.js',
        'sender.validFor === undefined ? pacing.rules.renewDeadline : sender.validFor / 2',
        'pacing.rules.renewDeadline',
      ],
    ],
  },
  {
    what: 'Retry-After is ignored',
    breaks: 'G7',
    changes: [['election/pacing.js', 'Math.min(retryAfterMs, longest)', '0']],
  },
  {
    what: 'four requests of a kind may go one right after the other',
    breaks: 'G7',
    changes: [['election/pacing.js', 'const AT_ONCE = 2;', 'const AT_ONCE = 4;']],
  },
  {
    what: 'a leader renews shortly before its term runs out',
    breaks: 'G7',
    changes: [
      [
        'election/machine.js',
        'return after(now, renewAfter - sentSince);',
        'return after(now, 2.5 * renewAfter - sentSince);',
      ],
    ],
  },
  {
    what: 'a watch that ends also ends the term',
    breaks: 'G7',
    changes: [
      [
        'election/machine.js',
        'const ended = watchEnded(turn.state.watch, problem, now, chance);\n',
        `const ended = watchEnded(turn.state.watch, problem, now, chance);
            lose(turn, 'leaseGone');
`,
      ],
    ],
  },
  {
    what: 'a renewal without an answer ends the term, although a later one has succeeded',
    breaks: 'G7',
    changes: [
      [
        'election/machine.js',
        "onFailure(turn, 'write', error, sentAt, atOnce);\n",
        `onFailure(turn, 'write', error, sentAt, atOnce);
    if (term !== undefined && error.code === 'LEADER_REQUEST_TIMEOUT')
        lose(turn, 'deadline');
`,
      ],
    ],
  },
  {
    what: 'a watch that shows nothing is never replaced',
    breaks: 'G7',
    changes: [['election/watch.js', 'dueAt: after(now, delayMs), isNews', 'dueAt: NEVER, isNews']],
  },
  {
    what: 'a release keeps the duration',
    breaks: 'G6',
    changes: [
      ['election/lease.js', "holderIdentity: '',\n        leaseDurationSeconds: 1,", "holderIdentity: '',"],
    ],
  },
  {
    what: 'a release keeps what its holder wrote about its process',
    breaks: 'G6',
    changes: [
      [
        'election/lease.js',
        '...withoutAbout(previous),\n        ...(isByCandidate',
        '...previous,\n        ...(isByCandidate',
      ],
    ],
  },
  {
    what: 'a claim does not count a transition',
    breaks: 'G1',
    changes: [['election/lease.js', 'acquiredBefore === undefined ? 1 : 0', '0']],
  },
  {
    what: 'labels that somebody has changed are written back as they were',
    breaks: 'G7',
    changes: [
      [
        'election/observation.js',
        'const same = { ...known, snapshot: lease, seenAt, heldUntil',
        'const same = { ...known, snapshot: { ...lease, carried: known.snapshot.carried }, seenAt, heldUntil',
      ],
    ],
  },
  {
    what: 'a release that did not succeed is not reported',
    breaks: 'G7',
    changes: [['election/machine.js', 'reportRelease(turn, release.problem);\n', '']],
  },
  {
    what: 'a term is announced before its guard has finished',
    breaks: 'G5',
    changes: [
      [
        'election/life.js',
        "when: 'start', term: term.number });\n    else\n",
        "when: 'start', term: term.number });\n",
      ],
    ],
  },
  {
    what: 'a lease is released before the guard of its term has finished',
    breaks: 'G5',
    changes: [
      [
        'election/life.js',
        "turn.effects.push({ do: 'guard', when: 'end', term: phase.term.number });",
        "turn.effects.push({ do: 'guard', when: 'end', term: phase.term.number });\n            awaitRelease(turn, phase);",
      ],
    ],
  },
  {
    what: 'a guard is told of the end of a term while its work runs',
    breaks: 'G5',
    changes: [
      [
        'election/life.js',
        'if (turn.at.running === 0)\n        workIdle(turn);\n    else\n        drain(turn);',
        `if (turn.at.running === 0)
        workIdle(turn);
    else {
        drain(turn);
        if (turn.life.rules.isGuarded)
            turn.effects.push({ do: 'guard', when: 'end', term: number });
    }`,
      ],
    ],
  },
  {
    what: 'a guard is not told that its term was lost',
    breaks: 'G5',
    changes: [['election/life.js', 'if (rules.isGuarded && !guardIsAsked)', 'if (false && !guardIsAsked)']],
  },
  {
    what: 'a guard that hangs is waited for without end',
    breaks: 'G7',
    strikes: ['guardHangs', 'steppedDown'],
    changes: [['election/driver.js', 'clock.setTimer(withinMs, () => {', 'clock.setTimer(1e9, () => {']],
  },
  {
    what: "a process campaigns again after a loss, although onLost is 'exit'",
    breaks: 'G7',
    changes: [
      [
        'election/life.js',
        "(rules.onLost === 'exit' && isAnnounced(phase))",
        '(false && isAnnounced(phase))',
      ],
    ],
  },
  {
    what: "a process that has lost a slot stands for others, although onLost is 'exit'",
    breaks: 'G7',
    changes: [
      [
        'election/slots/slot-elector.js',
        "if (this.#onLost === 'exit' && isLoss(event.reason))\n                    this.#leave();\n",
        '',
      ],
    ],
  },
  {
    what: 'a process stands for all slots at once',
    breaks: 'G7',
    changes: [['election/slots/slot-elector.js', 'slot.choose(false);', 'slot.choose(true);']],
  },
  {
    what: 'a process stands for no slot but the first that it chose',
    breaks: 'G6',
    changes: [
      [
        'election/slots/slot-choice.js',
        'present !== undefined && free.includes(present)',
        'present !== undefined',
      ],
      [
        'election/slots/slot-choice.js',
        'const free =',
        'if (present !== undefined)\n        return { slot: present, chooseAgainAt: NEVER };\n    const free =',
      ],
      [
        'election/slots/slot-elector.js',
        'this.#choice = NO_CHOICE;\n            this.#choose();',
        'this.#choose();',
      ],
    ],
  },
  {
    what: 'a term on two Leases outlives that on the second',
    breaks: 'G5',
    strikes: ['loopBlocked', 'frozen', 'repliesCut', 'writesHang'],
    changes: [
      [
        'election/two-leases/joint-term.js',
        'return this.#first.isOver || this.#second.isOver;',
        'return this.#first.isOver;',
      ],
    ],
  },
  {
    what: 'a term on two Leases has the smaller token',
    breaks: 'G3',
    changes: [
      [
        'election/two-leases/joint-term.js',
        'fencingToken > this.#second.fencingToken ?',
        'fencingToken < this.#second.fencingToken ?',
      ],
    ],
  },
  {
    what: 'a process leads with the first of two Leases',
    breaks: 'G3',
    changes: [
      [
        'election/two-leases/joint-elector.js',
        "first.kind === 'leading' && second.kind === 'leading'",
        "first.kind === 'leading' && (second.kind === 'leading' || second.kind === 'following')",
      ],
      [
        'election/two-leases/joint-elector.js',
        '[first.term, second.term]',
        '[first.term, second.term ?? first.term]',
      ],
      [
        'election/two-leases/joint-term.js',
        'return this.#first === first && this.#second === second;',
        'return this.#first === first;',
      ],
    ],
  },
  {
    what: 'a term on two Leases that is lost in its hand-over is said to be handed over',
    breaks: 'G5',
    strikes: [
      'steppedDown',
      'stopped',
      'unready',
      'partition',
      'requestsCut',
      'writesHang',
      'serverRestarted',
    ],
    changes: [
      [
        'election/two-leases/joint-elector.js',
        'this.#onStopped(event.reason);',
        'this.#onStopped(this.#joint?.closeReason ?? event.reason);',
      ],
    ],
  },
  {
    what: 'a lease that a process of the same name left is waited for',
    breaks: 'G6',
    changes: [
      ['election/decide.js', 'if (options.reclaimOwnLease && holderIdentity', 'if (false && holderIdentity'],
    ],
  },
  {
    what: 'lockDelay is not waited for',
    breaks: 'G1',
    changes: [
      [
        'election/decide.js',
        'return LONG_AGO;\n    return after(freeAt, options.lockDelay);',
        'return LONG_AGO;\n    return freeAt;',
      ],
    ],
  },
  {
    what: 'lockDelay is not waited for after a proof of death',
    breaks: 'G1',
    changes: [
      [
        'election/decide.js',
        'return LONG_AGO;\n    return after(freeAt, options.lockDelay);',
        'return LONG_AGO;\n    return goneAt === undefined ? after(freeAt, options.lockDelay) : freeAt;',
      ],
    ],
  },
  {
    what: 'lockDelay is waited for after a hand-over',
    breaks: 'G6',
    changes: [
      [
        'election/decide.js',
        'return later(freeAt, after(observation.seenAt, courtesy));',
        'return after(later(freeAt, after(observation.seenAt, courtesy)), options.lockDelay);',
      ],
    ],
  },
  {
    what: 'a term has no limit',
    breaks: 'G7',
    changes: [['election/machine.js', 'limitAt: termLimit > 0 ?', 'limitAt: false ?']],
  },
  {
    what: 'a process that is preferred does not ask for the lease',
    breaks: 'G7',
    changes: [
      ['election/priority/preference.js', 'if (this.#own <= noted)', 'if (this.#own <= noted + 1_000)'],
    ],
  },
  {
    what: 'a process that is asked for its lease does not give it',
    breaks: 'G6',
    changes: [
      [
        'election/decide.js',
        "return isAskedFor(observation, options.identity) || !stands ? 'steppedDown'",
        "return !stands ? 'steppedDown'",
      ],
    ],
  },
  {
    what: 'a released lease is not left to who has asked for it',
    breaks: 'G6',
    changes: [['election/decide.js', '? COURTESY_MS : 0', '? 0 : 0']],
  },
  {
    what: 'a process without a watch does not poll',
    breaks: 'G6',
    changes: [
      [
        'election/pacing.js',
        'pollAt: isOpen ? undefined : retryAt(sender.now, sender, pacing.rules)',
        'pollAt: undefined',
      ],
    ],
  },
  {
    what: 'a watch that is refused is reported each time',
    breaks: 'G7',
    strikes: ['watchDenied403'],
    changes: [['election/machine.js', 'problem.code !== turn.state.watch.reported &&\n', '']],
  },
  {
    what: "a follower waits for its own leaseDuration instead of the record's",
    breaks: 'G1',
    strikes: ['killed', 'partition'],
    changes: [
      [
        'election/observation.js',
        'seconds === undefined ? sighting.leaseDuration : seconds * 1000',
        'sighting.leaseDuration',
      ],
    ],
  },
  {
    what: 'a claim keeps the duration that the holder before has written',
    breaks: 'G1',
    strikes: ['killed', 'partition'],
    changes: [
      [
        'election/lease.js',
        'leaseDurationSeconds: writer.leaseDuration / 1000,\n        acquireTime: movedOn',
        `leaseDurationSeconds: (previous?.holderIdentity ? previous.leaseDurationSeconds : undefined) ?? writer.leaseDuration / 1000,
        acquireTime: movedOn`,
      ],
    ],
  },
  {
    what: "a follower takes its own renewInterval for the leader's",
    breaks: 'G6',
    changes: [['election/pacing.js', 'intervals.length > 0 ? Math.max(...intervals) : guess', 'guess']],
  },
  {
    what: 'a process asks for an election of another that leads only one more',
    breaks: 'G7',
    changes: [['election/spread/spread.js', 'most.length >= own + 2', 'most.length >= own + 1']],
  },
  {
    what: 'an election that was not granted is never asked for again',
    breaks: 'G7',
    strikes: ['serverRestarted', 'killed', 'partition'],
    changes: [['election/spread/spread.js', 'after(this.#clock.now(), REFUSED_FOR_MS)', 'Infinity']],
  },
  {
    what: 'a process waits without end for the election that it has asked for',
    breaks: 'G7',
    strikes: ['frozen', 'killed', 'repliesCut'],
    changes: [['election/spread/spread.js', 'until: after(now, PATIENCE_MS)', 'until: Infinity']],
  },
];
