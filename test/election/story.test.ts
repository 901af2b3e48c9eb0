/** What a story must not contain: secrets, names that would break a line, and wake-ups that find nothing to do. */
import { describe, expect, it } from 'vitest';
import { LeaseRequestError } from '../../lib/election/index.js';
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
