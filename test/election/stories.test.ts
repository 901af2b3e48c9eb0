/**
 * Plays the stories in testdata and compares every effect. README.md there says how to write one.
 * `UPDATE_STORIES=1 npx vitest run test/election/stories.test.ts` rewrites them.
 */
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { ElectionEffect, MachineEvent } from '../../lib/election/machine.js';
import { StoryReader, eventLine, played } from './story-language.js';

const TESTDATA = new URL('./testdata/', import.meta.url);
const names = readdirSync(TESTDATA).filter((name) => name.endsWith('.txt'));
const read = (name: string): string => readFileSync(new URL(name, TESTDATA), 'utf8');

it.each(names)('%s', (name) => {
  const told = played(read(name));
  if (process.env['UPDATE_STORIES'] === '1') writeFileSync(new URL(name, TESTDATA), told);
  else expect(told).toBe(read(name));
});

describe('the stories', () => {
  it('contain every kind of event, and each event line is parsed', () => {
    const kinds: Record<MachineEvent['type'], boolean> = {
      start: false, stop: false, stepDown: false, candidacyChanged: false, timePassed: false, readReplied: false,
      writeReplied: false, looked: false, asked: false, watchOpened: false, watchShowed: false, watchEnded: false,
      guardFinished: false, termClosed: false, workIdle: false, holderGone: false,
      exit: false,
    }; // prettier-ignore
    for (const name of names) {
      const reader = new StoryReader();
      for (const line of read(name).split('\n')) {
        const event = eventLine(line);
        if (event === undefined) reader.readEffect(line);
        else if (event.text !== 'end') kinds[reader.happening(event.text).type] = true;
      }
    }
    expect(Object.entries(kinds).filter(([, isTold]) => !isTold)).toEqual([]);
  });

  it('contain every kind of effect', () => {
    const kinds: Record<ElectionEffect['do'], RegExp> = {
      read: /> read 1, patience/,
      write: /> write 2, (if there is no Lease|on top of version 7):/,
      openWatch: /> open watch 1$/m,
      closeWatch: /> close watch 1$/m,
      followHolder: /> follow the process 'pod bing'$/m,
      tell: /> tell: the leader is 'bing'$/m,
      measure: /> meter: joined$/m,
      beginTerm: /> begin term 1: token 8, certain until 10004$/m,
      closeTerm: /> tell the work of term 1 to stop: stopped$/m,
      endTerm: /> end term 1: deadline$/m,
      guard: /> ask the guard at the end of term 1$/m,
      awaitIdle: /> wait until no work runs$/m,
    };
    const all = names.map(read).join('\n');
    expect(Object.entries(kinds).filter(([, line]) => !line.test(all))).toEqual([]);
  });
});

describe('a story with a mistake', () => {
  const START = '0 start; wants to lead\n4 read 1: there is no Lease\n';

  it.each([
    ['an unknown event', '9 it rains', /Not an event: 'it rains'/],
    ['a reply to no request', '9 write 7: conflict', /No such request is in flight/],
    ['a reply of another kind', '9 read 2: there is no Lease', /No such request is in flight/],
    [
      'a write that was never sent',
      "9 watch 1: 'baz' for 15 s, as write 9 wrote it, version 8",
      /Unknown write/,
    ],
    ['a Lease without a version', "9 watch 1: 'bing' for 15 s, renewed at 5", /Is its version missing/],
    ['a record with an unknown part', "9 watch 1: 'bing', born at 5, version 8", /Not a part of a record/],
    ['time that goes back', '9 watch 1: open\n5 stop', /Time cannot go back/],
    [
      'a request whose failure is missing',
      '20000 stop',
      /Request 2 timed out at 5004, so its failure is missing/,
    ],
    [
      'a failure that is missing at the end',
      '20000 end',
      /Request 2 timed out at 5004, so its failure is missing/,
    ],
  ])('is refused with its line: %s', (_, line, message) => {
    expect(() => played(`# Wrong.\n\n${START}${line}\n`)).toThrow(message);
    expect(() => played(`# Wrong.\n\n${START}${line}\n`)).toThrow(String(line.split('\n').at(-1)));
  });

  it('is refused if the mistake is in its settings', () => {
    expect(() => played(`with luck 7\n\n${START}`)).toThrow(/luck: there is no such option/);
  });

  it('is corrected if the mistake is in its effects', () => {
    const story = played(`# Right.\n\n${START}8 write 2: done, version 8\n`);
    expect(story).toContain('          > begin term 1: token 8');
    expect(played(story.replace('token 8', 'token 9'))).toBe(story);
    expect(played(story.replace(/.*meter.*\n/g, ''))).toBe(story);
  });
});
