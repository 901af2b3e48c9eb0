/** Draws a schedule that breaks a guarantee on the page of the demo, as page-of-seed.mjs draws a seed. */
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { LEASE, endTermsOfTheDead, pageDocument, viewOf } from './page-of-seed.mjs';

/** What the moves do to the process that they name. */
const STATES = { start: 'running', freeze: 'frozen', thaw: 'running', kill: 'gone', stop: 'stopping' };
/** The moves of a tick are drawn next to each other. */
const APART_MS = 20;

/**
 * An HTML document with every process' view, its messages, the faults, and what was broken.
 *
 * @param {{ package: string, scope: object, story: object }} what the built package, what was explored, and what it found
 */
export async function pageOfStory({ package: folder, scope, story }) {
  const built = (file) => import(pathToFileURL(resolve(folder, file)).href);
  const { replay } = await built('testing/exploration/index.js');
  const { storyTeller } = await built('election/story/story.js');
  const lanes = ['a', 'b', 'c'].slice(0, scope.electors);
  const events = [
    { at: 0, lane: LEASE, kind: 'lane', text: 'API server' },
    ...lanes.map((lane) => ({ at: 0, lane, kind: 'lane', text: 'replicas' })),
  ];
  let at = 0;
  let moves = 0;
  const views = lanes.map((lane) => viewOf(lane, () => at, storyTeller, events));
  replay(scope, story.moves, {
    moves: (sentence, { move, mishap }, { tick }) => {
      const begins = tick * scope.tickMs[0];
      moves = begins > at ? 0 : moves + 1;
      at = Math.max(begins + moves * APART_MS, at);
      const lane = lanes[move.process] ?? LEASE;
      if (move.do === 'start') events.push({ at, lane, kind: 'process', text: lane });
      const state = mishap?.fate === 'frozen' ? 'frozen' : STATES[move.do];
      if (state !== undefined) events.push({ at, lane, kind: 'state', text: state });
      if (move.do !== 'tick') events.push({ at, lane, kind: 'act', text: sentence });
    },
    stepped: (process, ...step) => views[process](...step),
    changed: (lease) => {
      const holder = lease?.record.holderIdentity ?? '';
      const text = lease === undefined ? 'deleted' : `version ${lease.resourceVersion}, '${holder}'`;
      events.push({ at, lane: LEASE, kind: 'lease', text, holder });
    },
  });
  const { guarantee, what } = story.broken;
  events.push({ at, lane: LEASE, kind: 'broken', text: `${guarantee} is broken: ${what}.` });
  endTermsOfTheDead(events);
  return pageDocument({
    format: 1,
    source: 'simulation',
    title: `The shortest schedule: ${guarantee} is broken`,
    about:
      'A small fleet on one lease, of which every schedule was tried. No shorter one breaks a guarantee. Time moves in ticks; what ' +
      'happens within one is drawn next to each other. Clocks of processes may run faster or slower.',
    leaseDurationMs: scope.timing.leaseDuration,
    renewDeadlineMs: scope.timing.renewDeadline,
    events: events.toSorted((a, b) => a.at - b.at),
  });
}
