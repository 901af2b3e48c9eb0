/** Draws one seed of the simulation on the page of the demo (sample-app/demo/page/recording.ts describes its data). */
import { resolve } from 'node:path';
import { URL, pathToFileURL } from 'node:url';

/** The timing of the simulated elections. */
const TIMING = { leaseDurationMs: 15_000, renewDeadlineMs: 10_000 };
/** The lane of the Lease. */
export const LEASE = 'Lease';

/**
 * Runs a seed again, and returns an HTML document with every process' view, its messages, the faults, and what was broken.
 *
 * @param {{ package: string, options: object, seed: number }} what the built package, the options of `simulate()`, the seed
 */
export async function pageOfSeed({ package: folder, options, seed }) {
  const built = (file) => import(pathToFileURL(resolve(folder, file)).href);
  const { simulate } = await built('testing/index.js');
  const { storyTeller } = await built('election/story/story.js');
  const events = [{ at: 0, lane: LEASE, kind: 'lane', text: 'API server' }];
  let report;
  await simulate({
    ...options,
    seeds: 1,
    from: seed,
    traceOf: (name, trueTime) => viewOf(name, trueTime, storyTeller, events),
    onFault: ({ kind, process = LEASE, at }) => events.push({ at, lane: process, kind: 'act', text: kind }),
    onSeed: (each) => (report = each),
  });
  const { trace, violations } = report;
  for (const line of trace) events.push(...eventsOfLine(line));
  // One fault may be noticed from both sides.
  const broken = violations.filter(
    ({ what }, index) => violations.findIndex((each) => each.what === what) === index,
  );
  for (const { guarantee, at, what } of broken)
    events.push({
      at,
      lane: laneOf(what) ?? LEASE,
      kind: 'broken',
      text: `${guarantee} is broken: ${what}.`,
    });
  intoFirstLanes(events);
  endTermsOfTheDead(events);
  return pageDocument({
    format: 1,
    source: 'simulation',
    title: `Seed ${seed}: ${broken.map(({ guarantee }) => `${guarantee} is broken`).join(', ') || 'every guarantee is kept'}`,
    about:
      'A simulated fleet of replicas on one lease of 15 s, with faults. Choose a lane and “Only” below to read what that process ' +
      'saw and sent. Times are true time; clocks of processes may run faster or slower.',
    ...TIMING,
    events: events.toSorted((a, b) => a.at - b.at),
  });
}

/** The page as one HTML document. It is compiled with the demo, which is built only if a page is wanted. */
export async function pageDocument(recording) {
  const page = await import(new URL('../build/sample-app/demo/page/document.js', import.meta.url));
  return page.pageDocument(recording);
}

/** A trace of one election that adds its requests, their answers, its terms, and what else it saw and did. */
export function viewOf(lane, trueTime, storyTeller, events) {
  let told = [];
  const story = storyTeller((line) => told.push(line.trim()));
  let first;
  let rate = 1;
  let term;
  const ended = new Set();
  return (event, effects, state) => {
    const at = trueTime();
    told = [];
    story(event, effects, state);
    const [what = '', ...did] = told;
    if (what !== '') {
      const isReply = 'reply' in event;
      const failed = isReply && (!event.reply.ok || event.reply.value?.kind === 'conflict');
      events.push({ at, lane, kind: isReply ? 'reply' : 'view', text: what.replace(/^\S+ +/, ''), failed });
    }
    for (const [index, effect] of effects.entries()) {
      const text = (did[index] ?? '').replace(/^> /, '');
      if (effect.do === 'read' || effect.do === 'write') events.push({ at, lane, kind: 'request', text });
      else if (effect.do === 'endTerm' && term !== undefined) {
        ended.add(term.token);
        events.push({ at, lane, kind: 'termEnd', text: effect.reason, token: term.token });
        term = undefined;
      } else if (effect.do !== 'measure') events.push({ at, lane, kind: 'view', text });
    }
    // A clock that is suspended for a while seems slower, never faster.
    first ??= { at, now: event.at.now };
    if (at - first.at >= 1) rate = Math.max(rate, (event.at.now - first.now) / (at - first.at));
    const present = state.life.phase.term;
    if (present === undefined) return;
    const token = String(present.fencingToken);
    const until = at + (present.validity.until - event.at.now) / rate;
    if (ended.has(token)) return;
    const isNew = term?.token !== token;
    if (!isNew && present.validity.until === term.validUntil) return;
    term = { token, validUntil: present.validity.until };
    const text = isNew ? `${lane} leads, token ${token}` : '';
    events.push({ at, lane, kind: isNew ? 'term' : 'renewal', text, token, until });
  };
}

/** What a line of the simulation's trace adds: states of processes, changes of the Lease, and whatever else it says. */
function eventsOfLine(line) {
  const [, time, text] = /^ *([\d.]+) {2}(.*)$/.exec(line) ?? [];
  const at = Number(time);
  const change = /^ {2}(.*?): (?:deleted|version (\d+), '(.*?)' for .*)$/.exec(text);
  if (change !== null)
    return [{ at, lane: LEASE, kind: 'lease', text: text.trim(), holder: change[3] ?? '' }];
  const lane = laneOf(text) ?? LEASE;
  const note = { at, lane, kind: 'note', text };
  const state = (name) => ({ at, lane, kind: 'state', text: name });
  const does = text.replace(/^\S+ (\(client-go\) )?/, '');
  if (/^starts( as|$)/.test(does) && lane !== LEASE) {
    const [, identity = lane] = /^starts as '(.*?)'/.exec(does) ?? [];
    const group = text.includes('(client-go)') ? 'behaves like client-go' : 'replicas';
    return [
      { at, lane, kind: 'lane', text: group },
      { at, lane, kind: 'process', text: identity },
      state('running'),
    ];
  }
  if (text.includes('(client-go)')) {
    if (does === 'leads')
      return [{ at, lane, kind: 'term', text, token: text, until: Number.MAX_SAFE_INTEGER }];
    return [{ at, lane, kind: 'termEnd', text: does, token: `${lane} (client-go) leads` }];
  }
  // These are told by the election itself.
  if (/^(leads with token|stops leading)/.test(does)) return [];
  if (/^is killed/.test(does)) return [note, state('gone')];
  if (/^has ended/.test(does)) return [note, state('gone')];
  if (/^(exits|is told to stop)$/.test(does)) return [note, state('stopping')];
  if (/^is (loopBlocked|frozen|suspended) for/.test(does)) return [note, state('frozen')];
  if (/^continues$/.test(does)) return [note, state('running')];
  return [note];
}

/** The process at the beginning of a sentence. */
function laneOf(text) {
  return /^((?:replica|go)-\d+)\b/.exec(text)?.[1];
}

/** With several Leases a process has a lane for each. What is about the process is shown in the first. */
function intoFirstLanes(events) {
  const lanes = new Set(events.filter(({ kind }) => kind === 'view').map(({ lane }) => lane));
  for (const event of events) {
    if (lanes.has(event.lane)) continue;
    event.lane = [...lanes].find((lane) => lane.startsWith(`${event.lane} on `)) ?? event.lane;
  }
}

/** A process that is killed tells nothing any more, so its term ends with it. */
export function endTermsOfTheDead(events) {
  const deaths = events.filter(({ kind, text }) => kind === 'state' && text === 'gone');
  for (const { at, lane } of deaths) {
    const last = events
      .filter((event) => event.lane === lane && event.at <= at && /^term/.test(event.kind))
      .at(-1);
    if (last?.kind === 'term')
      events.push({ at, lane, kind: 'termEnd', text: 'its process is dead', token: last.token });
  }
}
