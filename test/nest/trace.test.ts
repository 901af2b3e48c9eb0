/** `trace: true`: a real process tells the story of its elections in the lines of test/election/testdata. */
import { readFileSync, readdirSync } from 'node:fs';
import { Logger } from '@nestjs/common';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { LeaderService, getLeaderToken } from '../../lib/index.js';
import { checked, recordingsIn, replayed } from '../conformance/replay.js';
import { StoryReader, eventLine } from '../election/story-language.js';
import { Replicas } from './replicas.js';

const replicas = new Replicas();
let lines: string[] = [];

beforeEach(() => {
  lines = [];
  vi.spyOn(Logger.prototype, 'debug').mockImplementation(function (this: Logger, line: unknown) {
    if ((this as unknown as { context?: string }).context === 'LeaderElection') lines.push(String(line));
  });
});
afterEach(() => {
  vi.restoreAllMocks();
});

/** The story of each Lease, by the prefix of its lines. */
function stories(): ReadonlyMap<string, readonly string[]> {
  const told = new Map<string, string[]>();
  for (const line of lines) {
    const [, whose = '', rest = ''] = /^('.*?'(?: \[.*?\])?): (.*)$/.exec(line) ?? [];
    told.set(whose, [...(told.get(whose) ?? []), rest]);
  }
  return told;
}

/** A line without its numbers, names, codes and states. */
function formOf(line: string): string {
  return line
    .replace(/'[^']*'|\bnobody\b/g, 'NAME')
    .replace(/-?\d+/g, 'N')
    .replace(/LEADER_\w+/g, 'CODE')
    .replace(/watch (closed|connecting|open|denied|unsupported)$/g, 'watch STATE')
    .replace(/ +/g, ' ');
}

const TESTDATA = new URL('../election/testdata/', import.meta.url);
const known = new Set(
  readdirSync(TESTDATA)
    .filter((name) => name.endsWith('.txt'))
    .flatMap((name) => readFileSync(new URL(name, TESTDATA), 'utf8').split('\n'))
    .map(formOf),
);

/** The events in a story. */
function happenings(story: readonly string[]): string[] {
  const reader = new StoryReader();
  return story.flatMap((line) => {
    const event = eventLine(line);
    if (event !== undefined) return [reader.happening(event.text).type];
    reader.readEffect(line);
    return [];
  });
}

describe('trace: true', () => {
  it('logs a hand-over at level debug in both processes, in the lines of test/election/testdata', async () => {
    const first = await replicas.start([{ name: 'first', leaseName: 'billing', trace: true }]);
    await first.get<LeaderService>(getLeaderToken('first')).whenLeader();
    const second = await replicas.start([{ name: 'second', leaseName: 'billing', trace: true }]);
    const follower = second.get<LeaderService>(getLeaderToken('second'));
    await vi.waitUntil(() => follower.getLeader() !== '' && replicas.server.openWatches === 2);
    await replicas.closeFirst();
    await follower.whenLeader();

    const told = stories();
    expect([...told.keys()]).toEqual(["'billing' [first]", "'billing' [second]"]);
    const [leaders = [], followers = []] = [...told.values()];
    for (const line of [...leaders, ...followers]) expect(known).toContain(formOf(line));
    expect(leaders[0]).toBe('0       start; wants to lead');
    expect(happenings(leaders)).toEqual(
      expect.arrayContaining(['start', 'readReplied', 'writeReplied', 'stop', 'termClosed']),
    );
    expect(happenings(followers)).toEqual(
      expect.arrayContaining(['watchOpened', 'watchShowed', 'writeReplied']),
    );
    const text = followers.join('\n');
    expect(text).toContain('          > tell: the leader is nobody\n');
    expect(text).toContain('          > tell: term 1 started\n');
  });

  it('logs a story for each Lease, with slots and with alsoLease', async () => {
    const app = await replicas.start([
      { name: 'shards', leaseName: 'shard', slots: 2, trace: true },
      { name: 'moved', leaseName: 'new-name', alsoLease: 'old-name', trace: true },
    ]);
    await app.get<LeaderService>(getLeaderToken('shards')).whenLeader();
    await app.get<LeaderService>(getLeaderToken('moved')).whenLeader();
    await replicas.closeFirst();
    const told = stories();
    expect([...told.keys()].sort()).toEqual([
      "'new-name' [moved]",
      "'old-name' [moved]",
      "'shard-0' [shards]",
      "'shard-1' [shards]",
    ]);
    for (const story of told.values()) {
      expect(story[0]).toMatch(/^0 {7}start; /);
      expect(happenings(story)).toContain('stop');
    }
  });

  it("logs a line of JSON for each step with trace: 'json', from which each election is replayed", async () => {
    const app = await replicas.start([
      { leaseName: 'billing', trace: 'json' },
      { name: 'shards', leaseName: 'shard', slots: 2, trace: 'json' },
    ]);
    await app.get(LeaderService).whenLeader();
    await app.get<LeaderService>(getLeaderToken('shards')).whenLeader();
    await replicas.closeFirst();
    const recordings = recordingsIn(lines.join('\n'));
    expect([...recordings.keys()].sort()).toEqual(["'billing'", "'shard-0' [shards]", "'shard-1' [shards]"]);
    for (const recording of recordings.values()) {
      const { used } = checked(replayed(recording));
      expect([...used.keys()]).toContain('a first read');
    }
  });

  it.each([undefined, false])('trace: %s logs nothing', async (trace) => {
    const app = await replicas.start([{ leaseName: 'billing', trace }]);
    await app.get(LeaderService).whenLeader();
    expect(lines).toEqual([]);
  });

  it('logs nothing with enabled: false: there is no Lease', async () => {
    const app = await replicas.start([
      { leaseName: 'billing', enabled: false, kubernetes: undefined, trace: true },
    ]);
    await app.get(LeaderService).whenLeader();
    expect(lines).toEqual([]);
  });

  it('the election goes on when the logger throws, and reports that once', async () => {
    vi.spyOn(Logger.prototype, 'debug').mockImplementation(() => {
      throw new Error('The log is full.');
    });
    const warned = vi.spyOn(Logger.prototype, 'warn').mockImplementation(() => undefined);
    const app = await replicas.start([{ leaseName: 'billing', trace: true }]);
    const leader = app.get(LeaderService);
    await leader.whenLeader();
    await leader.stepDown({ cooldown: 0 });
    await leader.whenLeader();
    const told = warned.mock.calls.filter(([line]) => String(line).includes('LEADER_LISTENER_FAILED'));
    expect(told).toHaveLength(1);
  });

  it('the election goes on when the logger reads LeaderService for each line', async () => {
    const holder: { leader?: LeaderService } = {};
    const states = new Set<string | undefined>();
    vi.spyOn(Logger.prototype, 'debug').mockImplementation(() => {
      states.add(holder.leader?.state.kind);
    });
    const app = await replicas.start([{ leaseName: 'billing', trace: true }]);
    const leader = app.get(LeaderService);
    holder.leader = leader;
    await leader.whenLeader();
    await leader.stepDown({ cooldown: 0 });
    await leader.whenLeader();
    expect(states).toContain('leading');
    expect(leader.lastError).toBeUndefined();
  });

  it.each(['yes', 'JSON', 1, null])('refuses %j', async (trace) => {
    await expect(replicas.start([{ leaseName: 'billing', trace: trace as never }])).rejects.toMatchObject({
      code: 'LEADER_INVALID_OPTIONS',
      violations: [expect.stringMatching(/^trace is .*: it must be true, false or 'json'$/)],
    });
  });
});
