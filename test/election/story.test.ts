/** What a story must not contain: secrets, names that would break a line, and wake-ups that find nothing to do. */
import { describe, expect, it } from 'vitest';
import {
  LeaseRequestError,
  resolveElectionOptions,
  type LeaseSnapshot,
  type MicroTime,
  type WallMs,
} from '../../lib/election/index.js';
import { newElection, type ElectionEffect, type MachineEvent } from '../../lib/election/machine.js';
import { storyTeller } from '../../lib/election/story/story.js';
import { World } from './candidate.js';
import { recordOf } from './records.js';
import { eventLine } from './story-language.js';

/** The story of a candidate in a simulated world. */
function follow(): { lines: string[]; trace: ReturnType<typeof storyTeller> } {
  const lines: string[] = [];
  return { lines, trace: storyTeller((line) => lines.push(line)) };
}

describe('a story', () => {
  it('of a real elector begins at 0, whatever its clock shows, with each event on a line', async () => {
    const world = new World();
    await world.time.advance(5_000);
    const { lines, trace } = follow();
    const baz = world.prepare('baz', {}, {}, undefined, undefined, undefined, trace);
    baz.start();
    await world.time.advance(10_000);
    expect(lines[0]).toBe('0       start; wants to lead');
    const times = lines.map((line) => eventLine(line)?.at).filter((at) => at !== undefined);
    expect(times).toEqual([...times].sort((a, b) => a - b));
    expect(
      lines.filter((line) => eventLine(line) === undefined).every((line) => line.startsWith('          > ')),
    ).toBe(true);
  });

  it('omits wake-ups that find nothing to do', async () => {
    const world = new World();
    const { lines, trace } = follow();
    const baz = world.prepare('baz', {}, {}, undefined, undefined, undefined, trace);
    baz.start();
    await world.time.advance(10_000);
    const ofNothing = lines.filter(
      (line, index) => line.endsWith('time passes') && !lines[index + 1]?.startsWith(' '),
    );
    expect(ofNothing).toEqual([]);
  });

  it('shows the code of an error, never its message', async () => {
    const world = new World();
    const { lines, trace } = follow();
    const baz = world.prepare('baz', {}, {}, undefined, undefined, undefined, trace);
    const secret = new Error('a secret');
    baz.lock.fate = () =>
      new LeaseRequestError('LEADER_UNAUTHORIZED', 'a secret', { maybeCommitted: false, cause: secret });
    baz.start();
    await world.time.advance(10_000);
    expect(lines.join('\n')).toContain('LEADER_UNAUTHORIZED');
    expect(lines.join('\n')).not.toContain('secret');
  });

  it('escapes unreadable names, so that each event stays on its line', async () => {
    const world = new World();
    const { lines, trace } = follow();
    world.lease.edit(recordOf('bing\n0       stop\u202e'));
    const baz = world.prepare('baz', {}, {}, undefined, undefined, undefined, trace);
    baz.start();
    await world.time.advance(1_000);
    expect(lines).toContain("          > tell: the leader is 'bing\\u000a0       stop\\u202e'");
    expect(lines.every((line) => !line.includes('\n'))).toBe(true);
  });

  it('ends with the election: a late reply is left out', async () => {
    const world = new World();
    const { lines, trace } = follow();
    const baz = world.prepare('baz', {}, {}, undefined, undefined, undefined, trace);
    baz.start();
    baz.stop();
    const before = lines.length;
    await world.time.advance(10_000);
    expect(lines).toHaveLength(before);
    expect(lines.at(-1)).toBe('          > no wake-up');
  });

  it('shows invalid times in a record as they are', async () => {
    const world = new World();
    const { lines, trace } = follow();
    world.lease.edit(recordOf('bing', { renewTime: 'noon' as never, acquireTime: undefined }));
    const baz = world.prepare('baz', {}, {}, undefined, undefined, undefined, trace);
    baz.start();
    await world.time.advance(1_000);
    expect(lines.some((line) => line.includes("'bing' for 15 s, renewed at 'noon', transitions 0"))).toBe(
      true,
    );
  });
});

const ELECTION = newElection({
  options: resolveElectionOptions({ leaseName: 'x' }, { leaseNamespace: 'default', identity: 'baz' }),
  slot: 0,
  lease: 'default/x',
  canWatch: true,
  isGuarded: false,
});
const BEGAN_ON = Date.parse('2026-01-01T12:00:00Z');

/** The lines of steps with these events and effects, which begins with a start at 0. */
function linesOf(
  ...steps: readonly (readonly [event: MachineEvent, effects?: readonly ElectionEffect[], at?: object])[]
): string[] {
  const { lines, trace } = follow();
  const at = { now: 0, date: BEGAN_ON, chance: 0, running: 0, stands: true };
  const start: MachineEvent = { type: 'start', objection: undefined };
  for (const [event, effects = [], reading] of [[start] as const, ...steps])
    trace({ ...event, at: { ...at, ...reading } } as Parameters<typeof trace>[0], effects, ELECTION);
  // The first lines are those of the start.
  return lines.slice(2);
}

describe('a line', () => {
  it.each<[number, string]>([
    [999, 'no work runs'],
    [1_000, 'no work runs (wall clock: 1000 ms ahead)'],
    [-999, 'no work runs'],
    [-1_000, 'no work runs (wall clock: 1000 ms behind)'],
  ])('tells by how much the wall clock has moved, from a second on: %i', (ahead, line) => {
    const date = (BEGAN_ON + ahead) as WallMs;
    expect(linesOf([{ type: 'workIdle' }, [], { date }])).toEqual([`0       ${line}`]);
  });

  it.each<[boolean, boolean | undefined, string]>([
    [true, undefined, 'wants to lead'],
    [false, undefined, 'does not want to lead'],
    [false, true, 'never wants to lead'],
  ])('tells whether the process wants to lead: %s, %s', (stands, abstains, line) => {
    const event = { type: 'candidacyChanged', objection: undefined, ...(abstains && { abstains }) } as const;
    expect(linesOf([event, [], { stands }])).toEqual([`0       ${line}`]);
  });

  it('tells nothing of a watch that an elector does not have', () => {
    const told: ElectionEffect = {
      do: 'tell',
      event: { type: 'stateChanged', state: { kind: 'leading', term: 1 } },
    };
    expect(linesOf([{ type: 'workIdle' }, [told]]).at(-1)).toBe('          > tell state: leading, term 1');
  });
});

describe('a Lease in a story', () => {
  const seen = (record: Partial<LeaseSnapshot['record']>, uid = 'a'): LeaseSnapshot =>
    ({
      record: { holderIdentity: 'baz', leaseDurationSeconds: 15, ...record },
      uid,
      resourceVersion: '7',
    }) as LeaseSnapshot;
  const shown = (snapshot: LeaseSnapshot): readonly [MachineEvent] => [
    { type: 'watchShowed', stream: 1, event: { kind: 'seen', snapshot } },
  ];
  const time = (seconds: number): MicroTime => `2026-01-01T12:00:0${String(seconds)}.000000Z` as MicroTime;
  const wrote = (record: Partial<LeaseSnapshot['record']>): readonly [MachineEvent, ElectionEffect[]] => [
    { type: 'workIdle' },
    [{ do: 'write', number: 1, base: undefined, record: seen(record).record, patienceMs: 1 }],
  ];
  const acquired = { acquireTime: time(1), renewTime: time(1) };

  it.each<[string, object, object, string]>([
    [
      'a renewal of its own term by another',
      acquired,
      { ...acquired, renewTime: time(2) },
      "'baz' for 15 s, as write 1 wrote it, but renewed at 2000",
    ],
    [
      'another term of its name',
      acquired,
      { acquireTime: time(2), renewTime: time(2) },
      "'baz' for 15 s, acquired at 2000, renewed at 2000",
    ],
    [
      'a release',
      { ...acquired, holderIdentity: '' },
      { ...acquired, holderIdentity: '', renewTime: time(2) },
      'nobody for 15 s, acquired at 1000, renewed at 2000',
    ],
    [
      'a record without the times and the transitions',
      { ...acquired, leaseTransitions: 0 },
      { acquireTime: time(1) },
      "'baz' for 15 s, acquired at 1000",
    ],
  ])('is shown by what differs from a write: %s', (_, own, record, text) => {
    expect(linesOf(wrote(own), shown(seen(record))).at(-1)).toBe(`0       watch 1: ${text}, version 7`);
  });

  it('is shown with its uid when that is another, also by the reply to a write', () => {
    const replied: MachineEvent = {
      type: 'writeReplied',
      number: 1,
      reply: { ok: true, value: { kind: 'written', snapshot: seen(acquired, 'b') } },
    };
    expect(
      linesOf(shown(seen({})), wrote(acquired), [replied], shown(seen(acquired, 'b'))).slice(-2),
    ).toEqual([
      '0       write 1: done, version 7, uid b',
      "0       watch 1: 'baz' for 15 s, as write 1 wrote it, version 7",
    ]);
  });
});
