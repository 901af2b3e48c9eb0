/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/**
 * The page, in the browser: it draws a run (recording.ts). A run is followed live from the demo that serves the page, or is in the
 * document. In both cases the page shows one moment, `now`: the present, or where the reader has put the cursor.
 */
import type { Action, Command, LiveRun, ProcessState, Recording, RunEvent } from './recording.js';

// The run, in the order in which it is drawn.

interface Term {
  readonly token: string;
  readonly from: number;
  /** Until when it was certain, from which moment on. */
  readonly certain: { readonly at: number; readonly until: number }[];
  ended: RunEvent | undefined;
}

/** One lane, with its events of each kind in the order of their times. */
interface Lane {
  readonly name: string;
  readonly group: string;
  readonly terms: Term[];
  readonly events: Map<RunEvent['kind'], RunEvent[]>;
}

interface Group {
  readonly name: string;
  readonly lanes: Lane[];
  readonly handOvers: RunEvent[];
}

class Run {
  header: Omit<Recording, 'events'> = {
    format: 1,
    source: 'demo',
    title: document.title,
    about: '',
    leaseDurationMs: 0,
    renewDeadlineMs: 0,
  };
  readonly groups: Group[] = [];
  readonly lanes: Lane[] = [];
  /** All events. */
  events: RunEvent[] = [];
  broken: RunEvent[] = [];

  begin({ events, ...header }: Recording): void {
    this.header = header;
    this.groups.length = 0;
    this.lanes.length = 0;
    this.events = [];
    this.broken = [];
    for (const event of events) this.add(event);
  }

  add(event: RunEvent): void {
    insert(this.events, event);
    if (event.kind === 'broken') insert(this.broken, event);
    if (event.kind === 'lane') this.#addLane(event);
    const lane = this.lane(event.lane);
    if (lane === undefined) return;
    const ofKind = lane.events.get(event.kind) ?? [];
    lane.events.set(event.kind, ofKind);
    insert(ofKind, event);
    if (event.kind === 'handOver') insert(this.group(lane.group)?.handOvers ?? [], event);
    if (event.kind === 'term' || event.kind === 'renewal' || event.kind === 'termEnd')
      addToTerms(lane, event);
  }

  lane(name: string): Lane | undefined {
    return this.lanes.find((lane) => lane.name === name);
  }

  group(name: string): Group | undefined {
    return this.groups.find((group) => group.name === name);
  }

  /** When the last event was. */
  get end(): number {
    return this.events.at(-1)?.at ?? 0;
  }

  #addLane({ lane: name, text }: RunEvent): void {
    const lane: Lane = { name, group: text, terms: [], events: new Map() };
    let group = this.group(text);
    if (group === undefined) {
      group = { name: text, lanes: [], handOvers: [] };
      this.groups.push(group);
    }
    group.lanes.push(lane);
    this.lanes.push(lane);
  }
}

function addToTerms(lane: Lane, event: RunEvent): void {
  const { token = '', until = event.at } = event;
  const term = lane.terms.findLast((each) => each.token === token);
  if (event.kind === 'term')
    lane.terms.push({ token, from: event.at, certain: [{ at: event.at, until }], ended: undefined });
  else if (event.kind === 'renewal') term?.certain.push({ at: event.at, until });
  else if (term !== undefined) term.ended = event;
}

/** Keeps a list in the order of time. Live events come nearly in order. */
function insert(list: RunEvent[], event: RunEvent): void {
  let index = list.length;
  while (index > 0 && (list[index - 1]?.at ?? 0) > event.at) index -= 1;
  list.splice(index, 0, event);
}

function lastUntil(list: readonly RunEvent[] | undefined, at: number): RunEvent | undefined {
  return list?.findLast((event) => event.at <= at);
}

/** Until when a term was certain, as far as was known at this time. */
function certainUntil({ certain, from }: Term, at: number): number {
  return certain.findLast((known) => known.at <= at)?.until ?? from;
}

/** When a term ended or will end, as far as was known at this time. */
function endOf(term: Term, at: number): number {
  const until = certainUntil(term, at);
  return term.ended !== undefined && term.ended.at <= at ? Math.min(until, term.ended.at) : until;
}

function termAt(lane: Lane, at: number): Term | undefined {
  return lane.terms.findLast((term) => term.from <= at && at < endOf(term, at));
}

function stateAt(lane: Lane, at: number): ProcessState {
  const started = lastUntil(lane.events.get('process'), at);
  const changed = lastUntil(lane.events.get('state'), at);
  if (started === undefined) return 'gone';
  return changed === undefined || changed.at < started.at ? 'starting' : (changed.text as ProcessState);
}

function isCutAt(lane: Lane, at: number): boolean {
  return lastUntil(lane.events.get('reach'), at)?.text === 'cut';
}

function leaderOf(group: Group, at: number): { readonly lane: Lane; readonly term: Term } | undefined {
  for (const lane of group.lanes) {
    const term = termAt(lane, at);
    if (term !== undefined) return { lane, term };
  }
  return undefined;
}

/** Until when others must respect the lease of a term, as far as was known at this time. */
function heldUntil(run: Run, group: Group, term: Term, at: number): number {
  const end = endOf(term, at);
  if (term.ended?.released === true && term.ended.at <= at) return end;
  const { leaseDurationMs, renewDeadlineMs } = run.header;
  const runsOut = certainUntil(term, at) + leaseDurationMs - renewDeadlineMs;
  const next = group.lanes
    .flatMap(({ terms }) => terms)
    .filter(({ from }) => from > term.from && from <= at)
    .reduce((least, { from }) => Math.min(least, from), Infinity);
  return Math.max(end, Math.min(runsOut, next));
}

// The document.

type Children = readonly (Node | string)[];

function element<K extends keyof HTMLElementTagNameMap>(
  name: K,
  attributes: Readonly<Record<string, string>> = {},
  children: Children = [],
): HTMLElementTagNameMap[K] {
  const made = document.createElement(name);
  for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
  made.append(...children);
  return made;
}

function find(id: string): HTMLElement {
  return document.getElementById(id) as HTMLElement;
}

function isChecked(id: string): boolean {
  return (find(id) as HTMLInputElement).checked;
}

function button(
  text: string,
  onClick: () => void,
  attributes: Readonly<Record<string, string>> = {},
): HTMLButtonElement {
  const made = element('button', { type: 'button', ...attributes }, [text]);
  // A button that can do nothing now keeps the focus, so it is not disabled.
  made.addEventListener('click', () => {
    if (made.getAttribute('aria-disabled') !== 'true') onClick();
  });
  return made;
}

/** Changes a text only if it differs, so that nothing is announced twice. */
function write(node: Element, text: string): void {
  if (node.textContent !== text) node.textContent = text;
}

function setAttribute(node: Element, name: string, value: string): void {
  if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

function duration(ms: number): string {
  if (ms < 1_000) return `${ms < 10 ? ms.toFixed(1) : ms.toFixed(0)} ms`;
  return `${(ms / 1_000).toFixed(2)} s`;
}

function clock(ms: number, digits: number): string {
  const seconds = ms / 1_000;
  if (seconds < 60) return `${seconds.toFixed(digits)} s`;
  const whole = Math.floor(seconds / 60);
  const rest = (seconds - whole * 60).toFixed(digits);
  return `${String(whole)}:${rest.padStart(digits === 0 ? 2 : digits + 3, '0')}`;
}

/** What an event says, as a sentence; undefined: it is only drawn. */
function sentenceOf({ kind, lane, text }: RunEvent): string | undefined {
  switch (kind) {
    case 'lane':
    case 'renewal':
    case 'job':
      return undefined;
    case 'process':
      return `${text} starts`;
    case 'state':
      // That it is gone is said by what ended it.
      return text === 'gone' ? undefined : `${lane} is ${text}`;
    case 'reach':
      return undefined;
    case 'act':
      return `${lane}: ${text}`;
    case 'termEnd':
      return `${lane} leads no more: ${text}`;
    case 'request':
    case 'reply':
    case 'view':
      return `${lane}: ${text}`;
    case 'term':
      return text === '' ? undefined : text;
    case 'handOver':
    case 'lease':
    case 'note':
    case 'broken':
      return text;
  }
}

/** The entries of the legend that only one kind of run has. */
const onlyInDemo: ReadonlySet<string> = new Set([
  'the lease that others still respect',
  'a job',
  'cut from the API server',
  'nobody leads: the hand-over',
]);
const onlyInSimulation: ReadonlySet<string> = new Set([
  'a request; below it an answer, red if it failed',
  'a guarantee is broken',
]);
const DETAILS: ReadonlySet<RunEvent['kind']> = new Set(['request', 'reply', 'view']);
/** How many events are listed. */
const LISTED = 150;
/** How far the present is from the right edge: a validity fits in. */
const AHEAD_MS = 6_500;
const SHORTEST_VIEW_MS = 10;

/** What each button does, and its key. Of two actions, the button does the one that is possible. */
const deeds: readonly {
  readonly key: string;
  readonly does: readonly Action[];
  readonly labels: readonly string[];
  readonly tells: string;
}[] = [
  { key: 's', does: ['stop'], labels: ['Stop'], tells: 'stop it (SIGTERM)' },
  { key: 'k', does: ['kill'], labels: ['Kill'], tells: 'kill it (SIGKILL)' },
  { key: 'e', does: ['crash'], labels: ['Crash'], tells: 'crash it by an exception' },
  {
    key: 'f',
    does: ['freeze', 'thaw'],
    labels: ['Freeze', 'Thaw'],
    tells: 'freeze it (SIGSTOP), or thaw it',
  },
  {
    key: 'c',
    does: ['cut', 'mend'],
    labels: ['Cut', 'Mend'],
    tells: 'cut it from the API server, or mend that',
  },
  { key: 'r', does: ['restart'], labels: ['Restart'], tells: 'start a new process in its place' },
];

interface Row {
  readonly lane: Lane;
  readonly row: HTMLElement;
  readonly name: HTMLButtonElement;
  readonly state: HTMLElement;
  readonly acts: HTMLButtonElement[];
  readonly canvas: HTMLCanvasElement;
}

/** A canvas, cleared, and where a time is on it. */
interface Sheet {
  readonly pen: CanvasRenderingContext2D;
  readonly width: number;
  readonly height: number;
  readonly x: (at: number) => number;
}

interface Colours {
  readonly ink: string;
  readonly soft: string;
  readonly line: string;
  readonly panel: string;
  readonly lead: string;
  readonly leadSoft: string;
  readonly onLead: string;
  readonly warn: string;
  readonly frozen: string;
  readonly gap: string;
}

const dark = matchMedia('(prefers-color-scheme: dark)');
const lessMotion = matchMedia('(prefers-reduced-motion: reduce)');
const phone = matchMedia('(max-width: 760px)');

class Page {
  readonly #run = new Run();
  readonly #isLive: boolean;
  #rows: Row[] = [];
  #strips: { readonly group: Group; readonly canvas: HTMLCanvasElement }[] = [];
  #axis: HTMLCanvasElement | undefined;
  #chosen = '';
  /** The part of the run that is in view. */
  #from = 0;
  #to = 1;
  /** The moment that is shown. */
  #now = 0;
  /** Live: when the run began, by `performance.now()`; undefined: the demo has ended or was not reached. */
  #beganAt: number | undefined;
  #canCut = false;
  #isFollowing = true;
  #playedAt: number | undefined;
  #hover: number | undefined;
  #listed = '';
  #colours: Colours | undefined;
  #isDrawing = false;

  constructor(recording: Recording | null) {
    this.#isLive = recording === null;
    dark.addEventListener('change', () => {
      this.#colours = undefined;
      this.#addLegend();
      this.#draw();
    });
    addEventListener('resize', () => {
      this.#draw();
    });
    addEventListener('keydown', (event) => {
      this.#onKey(event);
    });
    find('only').addEventListener('change', () => {
      this.#draw();
    });
    this.#addTools();
    this.#addKeys();
    if (recording === null) this.#follow();
    else this.#open(recording);
  }

  // Where the run comes from

  #open(recording: Recording): void {
    this.#run.begin(recording);
    this.#addRows();
    // Where a guarantee is broken, or else the last moment at which somebody leads.
    const ends = this.#run.lanes.flatMap(({ terms }) => terms.map((term) => endOf(term, this.#run.end) - 1));
    this.#now = this.#run.broken[0]?.at ?? Math.min(Math.max(0, ...ends), this.#run.end);
    const [broken] = this.#run.broken;
    this.#showAll();
    if (broken === undefined) return;
    // What led to it is near it.
    this.#choose(broken.lane);
    const span = 2 * recording.leaseDurationMs;
    this.#show(broken.at - 0.9 * span, broken.at + 0.1 * span);
  }

  #follow(): void {
    const source = new EventSource('events');
    source.addEventListener('run', (message) => {
      const live = JSON.parse(String(message.data)) as LiveRun;
      this.#beganAt = performance.now() - live.now;
      this.#canCut = live.canCut;
      this.#run.begin(live);
      this.#addRows();
      this.#tick();
    });
    source.addEventListener('message', (message) => {
      const event = JSON.parse(String(message.data)) as RunEvent;
      this.#run.add(event);
      if (event.kind === 'lane') this.#addRows();
    });
    source.addEventListener('error', () => {
      this.#beganAt = undefined;
      this.#draw();
    });
  }

  #tick(): void {
    if (this.#beganAt === undefined) return;
    this.#now = performance.now() - this.#beganAt;
    if (this.#isFollowing) {
      const span = this.#to - this.#from > 1 ? this.#to - this.#from : phone.matches ? 20_000 : 40_000;
      this.#from = Math.max(-span / 50, this.#now + Math.min(AHEAD_MS, span / 2) - span);
      this.#to = this.#from + span;
    }
    this.#draw();
    if (lessMotion.matches)
      setTimeout(() => {
        this.#tick();
      }, 1_000);
    else
      requestAnimationFrame(() => {
        this.#tick();
      });
  }

  async #order(command: Command): Promise<void> {
    try {
      const answer = await fetch('commands', { method: 'POST', body: JSON.stringify(command) });
      if (!answer.ok) this.#say(await answer.text());
    } catch {
      this.#say('The demo does not answer.');
    }
  }

  // The parts of the document

  #addTools(): void {
    const time = find('time');
    time.append(
      button('Earlier', () => {
        this.#pan(-0.25);
      }),
      button('Later', () => {
        this.#pan(0.25);
      }),
      button('Zoom in', () => {
        this.#zoom(0.5);
      }),
      button('Zoom out', () => {
        this.#zoom(2);
      }),
      button('Whole run', () => {
        this.#showAll();
      }),
    );
    const run = find('run');
    if (this.#isLive) {
      time.append(
        button(
          'Now',
          () => {
            this.#isFollowing = true;
          },
          { id: 'follow', 'aria-pressed': 'true' },
        ),
      );
      run.append(
        button('Start pollers like client-go beside', () => void this.#order({ do: 'startPollers' }), {
          id: 'start-pollers',
        }),
        button('Stop both leaders', () => void this.#order({ do: 'stop', lane: 'leaders' }), {
          class: 'both',
        }),
        button('Kill both leaders', () => void this.#order({ do: 'kill', lane: 'leaders' }), {
          class: 'both',
        }),
        element('a', { href: 'run.html', download: '', class: 'button' }, ['Save this run']),
      );
      return;
    }
    const cursor = element('input', {
      type: 'range',
      id: 'cursor',
      'aria-label': 'The moment that is shown',
    });
    cursor.addEventListener('input', () => {
      this.#moveTo(Number(cursor.value));
    });
    const speed = element(
      'select',
      { id: 'speed', 'aria-label': 'Speed' },
      ['1', '4', '16'].map((times) => element('option', { value: times }, [`${times}×`])),
    );
    run.append(
      button(
        'Play',
        () => {
          this.#play();
        },
        { id: 'play' },
      ),
      speed,
      cursor,
    );
  }

  #addRows(): void {
    const lanes = find('lanes');
    const axis = this.#track('The time of the run');
    this.#axis = axis;
    this.#strips = [];
    this.#rows = [];
    const rows: HTMLElement[] = [
      element('div', { class: 'row axis' }, [element('div', { class: 'who' }), track(axis)]),
    ];
    for (const group of this.#run.groups) {
      const strip = this.#track(`The hand-over times of ${group.name}`);
      this.#strips.push({ group, canvas: strip });
      rows.push(
        element('div', { class: 'row group' }, [
          element('div', { class: 'who' }, [element('h2', {}, [group.name])]),
          track(strip),
        ]),
      );
      for (const lane of group.lanes) {
        const row = this.#rowOf(lane);
        this.#rows.push(row);
        rows.push(row.row);
      }
    }
    const focused = document.activeElement?.id ?? '';
    lanes.replaceChildren(...rows);
    if (focused !== '') document.getElementById(focused)?.focus();
    if (this.#run.lane(this.#chosen) === undefined) this.#chosen = this.#run.lanes[0]?.name ?? '';
    this.#addLegend();
    document.title = this.#run.header.title;
    write(find('title'), this.#run.header.title);
    write(find('about'), this.#run.header.about);
    find('hand-overs-section').hidden = this.#run.header.source === 'simulation';
    this.#draw();
  }

  #rowOf(lane: Lane): Row {
    const number = this.#rows.length + 1;
    const canvas = this.#track(`The run of ${lane.name}; the list of what happened says the same in words`);
    const name = button(
      '',
      () => {
        this.#choose(lane.name);
      },
      { class: 'name', id: `name-${lane.name}` },
    );
    if (number <= 9) name.append(element('kbd', { 'aria-hidden': 'true' }, [String(number)]));
    name.append(lane.name);
    const state = element('span', { class: 'state' });
    const acts = this.#isLive
      ? deeds.map((_, index) =>
          button(
            '',
            () => {
              this.#act(lane, index);
            },
            { id: `${lane.name}-${String(index)}` },
          ),
        )
      : [];
    const who = element('div', { class: 'who' }, [
      name,
      state,
      ...(this.#isLive ? [element('div', { class: 'acts' }, acts)] : []),
    ]);
    const row = element('div', { role: 'group', 'aria-label': lane.name, 'data-lane': lane.name }, [
      who,
      track(canvas),
    ]);
    return { lane, row, name, state, acts, canvas };
  }

  /** A canvas on which time runs from left to right. */
  #track(label: string): HTMLCanvasElement {
    const canvas = element('canvas', { role: 'img', 'aria-label': label });
    let grabbed: { readonly x: number; readonly from: number; readonly to: number } | undefined;
    let hasMoved = false;
    canvas.addEventListener('pointerdown', (event) => {
      if (event.button !== 0) return;
      grabbed = { x: event.clientX, from: this.#from, to: this.#to };
      hasMoved = false;
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener('pointermove', (event) => {
      const { left, width } = canvas.getBoundingClientRect();
      const moved = grabbed === undefined ? 0 : event.clientX - grabbed.x;
      if (grabbed !== undefined && (hasMoved || Math.abs(moved) > 3)) {
        hasMoved = true;
        const by = (-moved / width) * (grabbed.to - grabbed.from);
        this.#show(grabbed.from + by, grabbed.to + by);
      }
      this.#hover = this.#from + ((event.clientX - left) / width) * (this.#to - this.#from);
      this.#tip(canvas, event);
      this.#draw();
    });
    canvas.addEventListener('pointerup', (event) => {
      const { left, width } = canvas.getBoundingClientRect();
      if (grabbed !== undefined && !hasMoved && !this.#isLive)
        this.#moveTo(this.#from + ((event.clientX - left) / width) * (this.#to - this.#from));
      grabbed = undefined;
    });
    canvas.addEventListener('pointerleave', () => {
      this.#hover = undefined;
      find('tip').hidden = true;
      this.#draw();
    });
    canvas.addEventListener(
      'wheel',
      (event) => {
        if (!event.ctrlKey && !event.metaKey) return;
        event.preventDefault();
        const { left, width } = canvas.getBoundingClientRect();
        this.#zoom(
          event.deltaY > 0 ? 1.25 : 0.8,
          this.#from + ((event.clientX - left) / width) * (this.#to - this.#from),
        );
      },
      { passive: false },
    );
    return canvas;
  }

  #addLegend(): void {
    const isSimulation = this.#run.header.source === 'simulation';
    const entries: readonly (readonly [string, (pen: CanvasRenderingContext2D, colours: Colours) => void])[] =
      [
        [
          'a term, with its fencing token',
          (pen, { lead }) => {
            bar(pen, 0, 4, 28, 9, lead);
          },
        ],
        [
          'how long it is still certain',
          (pen, { lead, leadSoft }) => {
            bar(pen, 0, 4, 28, 9, leadSoft, lead);
          },
        ],
        [
          'the lease that others still respect',
          (pen, { lead }) => {
            hollow(pen, 0, 3, 28, 11, lead);
          },
        ],
        [
          'a job',
          (pen, { ink }) => {
            for (const x of [5, 14, 23]) box(pen, x, 4, 1.5, 9, ink);
          },
        ],
        [
          'a request; below it an answer, red if it failed',
          (pen, { soft, warn }) => {
            for (const x of [6, 20]) box(pen, x, 1, 1, 7, soft);
            box(pen, 6, 9, 1, 7, soft);
            box(pen, 20, 9, 1, 7, warn);
          },
        ],
        [
          'a guarantee is broken',
          (pen, { warn }) => {
            box(pen, 13, 0, 2, 16, warn);
          },
        ],
        [
          'done to it, or a fault',
          (pen, { warn }) => {
            flag(pen, 14, 4, warn);
          },
        ],
        [
          'frozen',
          (pen, { frozen }) => {
            hatch(pen, 0, 3, 28, 11, frozen);
          },
        ],
        [
          'cut from the API server',
          (pen, { warn }) => {
            dashes(pen, 0, 28, 8, warn);
          },
        ],
        [
          'nobody leads: the hand-over',
          (pen, { gap }) => {
            box(pen, 0, 6, 28, 4, gap);
          },
        ],
      ];
    const other = isSimulation ? onlyInDemo : onlyInSimulation;
    const drawn = entries
      .filter(([text]) => !other.has(text))
      .map(([text, paint]) => {
        const canvas = element('canvas', { 'aria-hidden': 'true' });
        const paintIt = (): void => {
          const pen = penFor(canvas, 28, 16);
          paint(pen, this.#palette());
        };
        requestAnimationFrame(paintIt);
        return element('li', {}, [canvas, text]);
      });
    find('legend').replaceChildren(...drawn);
  }

  #addKeys(): void {
    const keys: [string, string][] = [
      ['1 … 9', 'choose a lane'],
      ...(this.#isLive ? deeds.map(({ key, tells }): [string, string] => [key, tells]) : []),
      ...(this.#isLive
        ? ([
            ['b', 'start pollers like client-go beside'],
            ['n', 'follow the present'],
          ] as [string, string][])
        : ([['p', 'play or pause']] as [string, string][])),
      ['← →', 'earlier, later'],
      ['+ −', 'zoom in, zoom out'],
      ['w', 'the whole run'],
    ];
    find('keys').replaceChildren(
      ...keys.flatMap(([key, tells]) => [
        element('dt', {}, [element('kbd', {}, [key])]),
        element('dd', {}, [tells]),
      ]),
    );
  }

  // What the reader does

  #onKey(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey || !isChecked('keys-on')) return;
    const { target, key } = event;
    if (target instanceof HTMLSelectElement) return;
    if (target instanceof HTMLInputElement && target.type === 'range') return;
    if (target instanceof HTMLElement && target.id === 'events' && key.startsWith('Arrow')) return;
    const lane = this.#run.lanes[Number(key) - 1];
    const deed = deeds.findIndex((each) => each.key === key);
    const chosen = this.#run.lane(this.#chosen);
    if (/^[1-9]$/.test(key) && lane !== undefined) this.#choose(lane.name);
    else if (this.#isLive && deed >= 0 && chosen !== undefined) this.#act(chosen, deed);
    else if (this.#isLive && key === 'b') void this.#order({ do: 'startPollers' });
    else if (this.#isLive && key === 'n') this.#isFollowing = true;
    else if (!this.#isLive && key === 'p') this.#play();
    else if (key === 'ArrowLeft') this.#pan(-0.25);
    else if (key === 'ArrowRight') this.#pan(0.25);
    else if (key === '+') this.#zoom(0.5);
    else if (key === '-') this.#zoom(2);
    else if (key === 'w') this.#showAll();
    else return;
    event.preventDefault();
  }

  #choose(name: string): void {
    this.#chosen = name;
    this.#draw();
  }

  #act(lane: Lane, index: number): void {
    this.#choose(lane.name);
    const action = this.#possible(lane, index);
    if (action !== undefined) void this.#order({ do: action, lane: lane.name });
  }

  /** What this button can do now. */
  #possible(lane: Lane, index: number): Action | undefined {
    if (this.#beganAt === undefined) return undefined;
    const state = stateAt(lane, this.#now);
    const isCut = isCutAt(lane, this.#now);
    const can: Readonly<Record<Action, boolean>> = {
      stop: state !== 'gone',
      kill: state !== 'gone',
      crash: state === 'running',
      freeze: state === 'running',
      thaw: state === 'frozen',
      cut: this.#canCut && !isCut && state !== 'gone',
      mend: isCut,
      restart: state === 'gone',
    };
    return deeds[index]?.does.find((action) => can[action]);
  }

  #pan(part: number): void {
    const by = part * (this.#to - this.#from);
    this.#show(this.#from + by, this.#to + by);
  }

  #zoom(factor: number, around?: number): void {
    const span = this.#to - this.#from;
    const next = Math.max(SHORTEST_VIEW_MS, span * factor);
    const isNowShown = this.#now >= this.#from && this.#now <= this.#to;
    const fixed = around ?? (isNowShown ? this.#now : (this.#from + this.#to) / 2);
    const from = fixed - ((fixed - this.#from) / span) * next;
    const follows = this.#isFollowing;
    this.#show(from, from + next);
    this.#isFollowing = follows;
  }

  #showAll(): void {
    const end = Math.max(this.#run.end, this.#isLive ? this.#now : 0, 1);
    this.#show(-end * 0.01, end * 1.02);
  }

  #show(from: number, to: number): void {
    this.#from = from;
    this.#to = to;
    this.#isFollowing = false;
    this.#draw();
  }

  #moveTo(at: number): void {
    this.#now = Math.min(Math.max(0, at), this.#run.end);
    if (this.#now < this.#from || this.#now > this.#to) {
      const half = (this.#to - this.#from) / 2;
      this.#show(this.#now - half, this.#now + half);
    }
    this.#draw();
  }

  #play(): void {
    if (this.#playedAt !== undefined) {
      this.#playedAt = undefined;
      this.#draw();
      return;
    }
    if (this.#now >= this.#run.end) this.#now = 0;
    this.#playedAt = performance.now();
    const frame = (): void => {
      if (this.#playedAt === undefined) return;
      const at = performance.now();
      const passed = at - this.#playedAt;
      this.#playedAt = this.#now >= this.#run.end ? undefined : at;
      this.#moveTo(this.#now + passed * Number((find('speed') as HTMLSelectElement).value));
      if (lessMotion.matches) setTimeout(frame, 1_000);
      else requestAnimationFrame(frame);
    };
    frame();
  }

  #say(text: string): void {
    write(find('said'), text);
    this.#saidUntil = this.#now + 4_000;
  }

  #saidUntil = 0;

  // What is shown at `now`

  #draw(): void {
    if (this.#isDrawing) return;
    this.#isDrawing = true;
    requestAnimationFrame(() => {
      this.#isDrawing = false;
      this.#drawNow();
    });
  }

  #drawNow(): void {
    this.#showStatus();
    for (const row of this.#rows) this.#showRow(row);
    this.#showTools();
    this.#showHandOvers();
    this.#showEvents();
    if (this.#axis !== undefined) this.#drawAxis(this.#axis);
    for (const { group, canvas } of this.#strips) this.#drawStrip(group, canvas);
    for (const row of this.#rows) this.#drawLane(row);
  }

  #showStatus(): void {
    const group = this.#run.groups.find(({ lanes }) => !lanes.some(({ events }) => events.has('lease')));
    const broken = lastUntil(this.#run.broken, this.#now);
    document.querySelector('.now')?.classList.toggle('broken', broken !== undefined);
    if (this.#now >= this.#saidUntil || !this.#isLive) write(find('said'), this.#sentence(group, broken));
    const lease = find('lease');
    const holder = group?.lanes
      .flatMap(({ terms }) => terms)
      .filter(({ from }) => from <= this.#now)
      .reduce<Term | undefined>(
        (newest, term) => (newest === undefined || term.from > newest.from ? term : newest),
        undefined,
      );
    const { leaseDurationMs } = this.#run.header;
    const left =
      group === undefined || holder === undefined
        ? 0
        : heldUntil(this.#run, group, holder, this.#now) - this.#now;
    const isRenewed = group !== undefined && leaderOf(group, this.#now) !== undefined;
    const isShown = leaseDurationMs > 0 && this.#run.header.source === 'demo';
    if (!isShown) {
      lease.replaceChildren();
      return;
    }
    const text =
      left > 0
        ? `The lease of token ${String(holder?.token)} runs out in ${(left / 1_000).toFixed(1)} s${isRenewed ? ', unless it is renewed' : ''}.`
        : 'Nobody holds the lease.';
    if (lease.childElementCount === 0)
      lease.append(
        element('span'),
        element('div', { class: 'meter', 'aria-hidden': 'true' }, [element('div')]),
      );
    if (lease.firstElementChild !== null) write(lease.firstElementChild, text);
    const meter = lease.querySelector<HTMLElement>('.meter > div');
    if (meter !== null)
      meter.style.width = `${String(Math.max(0, Math.min(1, left / leaseDurationMs)) * 100)}%`;
  }

  #sentence(group: Group | undefined, broken: RunEvent | undefined): string {
    if (this.#isLive && this.#beganAt === undefined)
      return this.#run.events.length === 0
        ? 'Waiting for the demo.'
        : 'The demo has ended. This is what it told last.';
    if (broken !== undefined) return broken.text;
    const leader = group === undefined ? undefined : leaderOf(group, this.#now);
    if (group === undefined || leader === undefined) return 'Nobody leads.';
    const told = lastUntil(group.handOvers, this.#now);
    if (told?.token === leader.term.token && told.lane === leader.lane.name) return `${told.text}.`;
    return `${leader.lane.name} leads, token ${leader.term.token}.`;
  }

  #showRow({ lane, row, name, state, acts }: Row): void {
    const at = this.#now;
    const term = termAt(lane, at);
    const process = stateAt(lane, at);
    const isLeading = term !== undefined && process !== 'gone';
    const isChosen = lane.name === this.#chosen;
    const isPlain = lane.events.has('lease');
    setAttribute(
      row,
      'class',
      `row${isLeading ? ' leads' : ''}${isChosen ? ' chosen' : ''}${isPlain ? ' plain' : ''}`,
    );
    setAttribute(row, 'data-state', process);
    setAttribute(name, 'aria-pressed', String(isChosen));
    write(state, isPlain ? holderText(lane, at) : this.#stateText(lane, term, process));
    for (const [index, act] of acts.entries()) {
      const { does = [], labels = [] } = deeds[index] ?? {};
      const action = this.#possible(lane, index);
      const label = labels[action === undefined ? 0 : does.indexOf(action)] ?? '';
      write(act, label);
      setAttribute(act, 'aria-label', `${label} ${lane.name}`);
      setAttribute(act, 'aria-disabled', String(action === undefined));
      if (does.includes('cut') && !this.#canCut)
        setAttribute(act, 'title', 'Only from the embedded API server can a replica be cut.');
    }
  }

  #stateText(lane: Lane, term: Term | undefined, process: ProcessState): string {
    const identity = lastUntil(lane.events.get('process'), this.#now)?.text ?? lane.name;
    const left = term === undefined ? 0 : certainUntil(term, this.#now) - this.#now;
    const hasStarted = lastUntil(lane.events.get('process'), this.#now) !== undefined;
    const does =
      term !== undefined && process !== 'gone'
        ? `leads, certain for ${(Math.max(0, left) / 1_000).toFixed(1)} s`
        : !hasStarted
          ? 'not started'
          : process === 'running'
            ? 'follows'
            : process;
    const parts = [
      does,
      ...(term !== undefined && process === 'frozen' ? ['frozen'] : []),
      ...(isCutAt(lane, this.#now) ? ['cut from the API server'] : []),
    ];
    return `${identity === lane.name ? '' : `as ${identity}: `}${parts.join(', ')}`;
  }

  #showTools(): void {
    const follow = document.getElementById('follow');
    if (follow !== null) setAttribute(follow, 'aria-pressed', String(this.#isFollowing));
    const pollers = document.getElementById('start-pollers');
    const haveBegun = this.#run.groups.length > 1;
    if (pollers !== null)
      setAttribute(pollers, 'aria-disabled', String(haveBegun || this.#beganAt === undefined));
    for (const both of document.querySelectorAll<HTMLElement>('.both')) both.hidden = !haveBegun;
    const cursor = document.getElementById('cursor') as HTMLInputElement | null;
    if (cursor !== null) {
      cursor.min = '0';
      cursor.max = String(this.#run.end);
      cursor.step = 'any';
      if (Number(cursor.value) !== this.#now) cursor.value = String(this.#now);
      setAttribute(cursor, 'aria-valuetext', clock(this.#now, 2));
    }
    const play = document.getElementById('play');
    if (play !== null) write(play, this.#playedAt === undefined ? 'Play' : 'Pause');
  }

  #showHandOvers(): void {
    const shown = this.#run.groups.map((group) => ({
      group,
      rows: group.handOvers.filter(({ at }) => at <= this.#now),
    }));
    const mark = shown.map(({ group, rows }) => `${group.name} ${String(rows.length)}`).join();
    const place = find('hand-overs');
    if (place.dataset['mark'] === mark) return;
    place.dataset['mark'] = mark;
    const longest = Math.max(1, ...shown.flatMap(({ rows }) => rows.map(({ tookMs = 0 }) => tookMs)));
    place.replaceChildren(
      ...shown
        .filter(({ group }) => group.lanes.some(({ events }) => !events.has('lease')))
        .map(({ group, rows }) => handOverTable(group.name, rows, longest)),
    );
  }

  #showEvents(): void {
    const only = isChecked('only');
    write(
      find('only-label'),
      `Only ${this.#chosen}${this.#run.header.source === 'simulation' ? ', with its messages' : ''}`,
    );
    const shown: RunEvent[] = [];
    for (let index = this.#run.events.length - 1; index >= 0 && shown.length < LISTED; index--) {
      const event = this.#run.events[index];
      if (event === undefined || event.at > this.#now || sentenceOf(event) === undefined) continue;
      if (only ? event.lane === this.#chosen || event.kind === 'broken' : !DETAILS.has(event.kind))
        shown.unshift(event);
    }
    const mark = `${String(only)} ${only ? this.#chosen : ''} ${String(shown.at(-1)?.at)} ${String(shown.length)} ${String(shown.at(-1)?.text)}`;
    if (mark === this.#listed) return;
    this.#listed = mark;
    const list = find('events');
    const wasAtEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
    list.replaceChildren(
      ...shown.map((event) =>
        element('li', { class: event.failed === true ? 'failed' : event.kind }, [
          element('time', {}, [clock(event.at, 3)]),
          element('span', {}, [sentenceOf(event) ?? '']),
        ]),
      ),
    );
    if (wasAtEnd) list.scrollTop = list.scrollHeight;
  }

  #tip(canvas: HTMLCanvasElement, { clientX, clientY }: PointerEvent): void {
    const tip = find('tip');
    const row = this.#rows.find((each) => each.canvas === canvas);
    const at = this.#hover ?? 0;
    const { width } = canvas.getBoundingClientRect();
    const reach = ((this.#to - this.#from) / width) * 5;
    const near = [...(row?.lane.events.values() ?? [])]
      .flat()
      .filter((event) => Math.abs(event.at - at) <= reach)
      .sort((a, b) => a.at - b.at)
      .flatMap((event) =>
        event.kind === 'job' ? `job, token ${String(event.token)}` : (sentenceOf(event) ?? []),
      );
    const digits = this.#to - this.#from < 2_000 ? 3 : 2;
    tip.textContent = [
      clock(at, digits),
      ...near.slice(0, 6),
      ...(near.length > 6 ? [`and ${String(near.length - 6)} more`] : []),
    ].join('\n');
    tip.hidden = at < 0;
    tip.style.left = `${String(Math.min(clientX + 14, innerWidth - tip.offsetWidth - 8))}px`;
    tip.style.top = `${String(clientY + 18)}px`;
  }

  // What is drawn from `from` to `to`

  #palette(): Colours {
    const style = getComputedStyle(document.documentElement);
    const colour = (name: string): string => style.getPropertyValue(name).trim();
    this.#colours ??= {
      ink: colour('--ink'),
      soft: colour('--soft'),
      line: colour('--line'),
      panel: colour('--panel'),
      lead: colour('--lead'),
      leadSoft: colour('--lead-soft'),
      onLead: colour('--on-lead'),
      warn: colour('--warn'),
      frozen: colour('--frozen'),
      gap: colour('--gap'),
    };
    return this.#colours;
  }

  #sheet(canvas: HTMLCanvasElement): Sheet {
    const { clientWidth: width, clientHeight: height } = canvas;
    const pen = penFor(canvas, width, height);
    const scale = width / (this.#to - this.#from);
    return { pen, width, height, x: (at) => (at - this.#from) * scale };
  }

  /** The hairlines of now, of the pointer, and of what is broken. */
  #drawLines(pen: CanvasRenderingContext2D, x: (at: number) => number, height: number): void {
    const { ink, soft, warn } = this.#palette();
    for (const { at } of this.#run.broken) box(pen, x(at) - 1, 0, 2, height, warn);
    box(pen, x(this.#now) - 0.5, 0, 1, height, ink);
    if (this.#hover !== undefined) box(pen, x(this.#hover) - 0.5, 0, 0.5, height, soft);
  }

  #drawAxis(canvas: HTMLCanvasElement): void {
    const { pen, width, height, x } = this.#sheet(canvas);
    const { soft, line } = this.#palette();
    const step = niceStep(((this.#to - this.#from) / width) * 90);
    pen.textBaseline = 'middle';
    for (let at = Math.max(0, Math.ceil(this.#from / step) * step); at < this.#to; at += step) {
      box(pen, x(at), height - 6, 1, 6, line);
      pen.fillStyle = soft;
      pen.textAlign = x(at) < 14 ? 'left' : 'center';
      const digits = step >= 1_000 ? 0 : step >= 100 ? 1 : step >= 10 ? 2 : 3;
      pen.fillText(clock(at, digits), Math.max(2, x(at)), height / 2 - 2);
    }
    this.#drawLines(pen, x, height);
  }

  /** How long nobody led, for each hand-over. */
  #drawStrip(group: Group, canvas: HTMLCanvasElement): void {
    const { pen, width, height, x } = this.#sheet(canvas);
    const { gap } = this.#palette();
    pen.textBaseline = 'middle';
    let free = -Infinity;
    for (const { at, tookMs = 0 } of group.handOvers) {
      if (at > this.#now || at < this.#from || at - tookMs > this.#to) continue;
      const [start, end] = [x(at - tookMs), x(at)];
      box(pen, Math.min(start, end - 2), height - 9, Math.max(2, end - start), 4, gap);
      const text = duration(tookMs);
      const { width: wide } = pen.measureText(text);
      const left = Math.min(Math.max(2, (start + end - wide) / 2), width - wide - 2);
      if (left < free) continue;
      free = left + wide + 8;
      pen.fillStyle = gap;
      pen.textAlign = 'left';
      pen.fillText(text, left, height / 2 - 5);
    }
    this.#drawLines(pen, x, height);
  }

  #drawLane({ lane, canvas }: Row): void {
    const sheet = this.#sheet(canvas);
    const { pen, width, height, x } = sheet;
    const middle = Math.round(height * 0.45);
    const half = Math.round(Math.min(13, height / 4));
    if (lane.events.has('lease')) this.#drawHolders(lane, sheet, middle, half);
    else this.#drawLife(lane, sheet, middle);
    const group = this.#run.group(lane.group);
    if (group !== undefined)
      for (const term of lane.terms) this.#drawTerm(group, lane, term, sheet, middle, half);
    this.#drawTrouble(lane, sheet, middle, half);
    this.#drawTicks(lane, pen, x, width, height, middle + half);
    this.#drawLines(pen, x, height);
  }

  /** The line of a process that lives: dashed while it starts or stops. */
  #drawLife(lane: Lane, sheet: Sheet, middle: number): void {
    const { soft } = this.#palette();
    for (const { state, left, right } of this.#states(lane, sheet)) {
      if (state === 'running') box(sheet.pen, left, middle - 0.5, right - left, 1, soft);
      else if (state === 'starting' || state === 'stopping') dashes(sheet.pen, left, right, middle, soft);
    }
  }

  /** Where a process is frozen, and where it cannot reach the API server. */
  #drawTrouble(lane: Lane, sheet: Sheet, middle: number, half: number): void {
    const { pen, width, x } = sheet;
    const { frozen, warn } = this.#palette();
    for (const { state, left, right } of this.#states(lane, sheet)) {
      if (state === 'frozen') hatch(pen, left, middle - half - 4, right - left, 2 * half + 8, frozen);
    }
    const reaches = lane.events.get('reach') ?? [];
    for (const [index, { at, text }] of reaches.entries()) {
      const end = Math.min(width + 9, x(reaches[index + 1]?.at ?? this.#knownUntil));
      if (text === 'cut') dashes(pen, Math.max(-9, x(at)), end, middle + half + 5, warn);
    }
  }

  /** The states of a process that are in view. */
  #states(
    lane: Lane,
    { width, x }: Sheet,
  ): { readonly state: string; readonly left: number; readonly right: number }[] {
    const changes = [...(lane.events.get('process') ?? []), ...(lane.events.get('state') ?? [])];
    changes.sort((a, b) => a.at - b.at);
    return changes
      .map(({ at, kind, text }, index) => ({
        state: kind === 'process' ? 'starting' : text,
        left: Math.max(-9, x(at)),
        right: Math.min(width + 9, x(Math.min(changes[index + 1]?.at ?? Infinity, this.#knownUntil))),
      }))
      .filter(({ left, right }) => right > 0 && left < width && right > left);
  }

  /** Until when something can be drawn. */
  get #knownUntil(): number {
    return this.#isLive ? this.#now : this.#run.end;
  }

  #drawTerm(
    group: Group,
    lane: Lane,
    term: Term,
    { pen, width, x }: Sheet,
    middle: number,
    half: number,
  ): void {
    const { lead, leadSoft, onLead } = this.#palette();
    const at = this.#knownUntil;
    const end = endOf(term, at);
    const held = heldUntil(this.#run, group, term, at);
    if (x(held) < 0 || x(term.from) > width) return;
    const isOpen = term.from <= this.#now && this.#now < endOf(term, this.#now);
    const left = Math.max(-9, x(term.from));
    const right = Math.min(width + 9, x(isOpen && this.#isLive ? this.#now : Math.min(end, at)));
    if (this.#run.header.source === 'demo' && held > end) {
      const from = Math.max(-9, x(end));
      hollow(pen, from, middle - half, Math.min(width + 9, x(held)) - from, 2 * half, lead);
    }
    if (isOpen) {
      const certain = x(endOf(term, this.#now));
      bar(
        pen,
        Math.max(-9, x(this.#now)),
        middle - half,
        certain - Math.max(-9, x(this.#now)),
        2 * half,
        leadSoft,
        lead,
      );
    }
    bar(pen, left, middle - half, Math.max(2, right - left), 2 * half, lead);
    const label = [`token ${term.token}`, term.token, `…${term.token.slice(-4)}`].find(
      (text) => pen.measureText(text).width + 10 < right - Math.max(0, left),
    );
    if (label === undefined) return;
    pen.fillStyle = onLead;
    pen.textAlign = 'left';
    pen.textBaseline = 'middle';
    pen.fillText(label, Math.max(0, left) + 6, middle + 0.5);
  }

  /** Who held the Lease, and when it changed. */
  #drawHolders(lane: Lane, { pen, width, x }: Sheet, middle: number, half: number): void {
    const { ink, soft, line } = this.#palette();
    const changes = lane.events.get('lease') ?? [];
    pen.textBaseline = 'middle';
    pen.textAlign = 'left';
    let since = 0;
    for (const [index, { at, holder = '' }] of changes.entries()) {
      const next = changes[index + 1];
      if (x(at) >= -1 && x(at) <= width) box(pen, x(at), middle + half + 2, 1, 5, soft);
      if (index > 0 && changes[index - 1]?.holder !== holder) since = index;
      if (next?.holder === holder) continue;
      const [left, right] = [
        Math.max(-9, x(changes[since]?.at ?? at)),
        Math.min(width + 9, x(next?.at ?? this.#run.end)),
      ];
      if (holder === '' || right < 0 || left > width) continue;
      bar(pen, left, middle - half, Math.max(1, right - left), 2 * half, line);
      pen.fillStyle = ink;
      if (pen.measureText(holder).width + 10 < right - Math.max(0, left))
        pen.fillText(holder, Math.max(0, left) + 6, middle + 0.5);
    }
  }

  #drawTicks(
    lane: Lane,
    pen: CanvasRenderingContext2D,
    x: (at: number) => number,
    width: number,
    height: number,
    below: number,
  ): void {
    const { ink, soft, warn } = this.#palette();
    const inView = (kind: RunEvent['kind']): RunEvent[] =>
      (lane.events.get(kind) ?? []).filter(({ at }) => x(at) >= -2 && x(at) <= width + 2);
    for (const { at } of inView('job')) box(pen, x(at) - 0.75, below + 9, 1.5, 8, ink);
    for (const { at } of inView('request')) box(pen, x(at) - 0.5, below + 8, 1, 7, soft);
    for (const { at, failed } of inView('reply'))
      box(pen, x(at) - 0.5, below + 16, 1, 7, failed === true ? warn : soft);
    const acts = inView('act');
    pen.textBaseline = 'top';
    pen.textAlign = 'left';
    for (const [index, { at, text }] of acts.entries()) {
      flag(pen, x(at), 2, warn);
      const left = x(at) + 7;
      const right = left + pen.measureText(text).width + 8;
      if (right > Math.min(width, x(acts[index + 1]?.at ?? Infinity))) continue;
      pen.fillStyle = warn;
      pen.fillText(text, left, 2);
    }
    if (this.#run.broken.some((event) => event.lane === lane.name)) {
      pen.strokeStyle = warn;
      pen.strokeRect(0.5, 0.5, width - 1, height - 1);
    }
  }
}

function holderText(lane: Lane, at: number): string {
  const holder = lastUntil(lane.events.get('lease'), at)?.holder;
  return holder === undefined || holder === '' ? 'held by nobody' : `held by ${holder}`;
}

function handOverTable(name: string, handOvers: readonly RunEvent[], longest: number): HTMLElement {
  const rows = handOvers
    .slice(-12)
    .reverse()
    .map(({ lane, token = '', tookMs = 0, cause = '' }) => {
      const length = element('i', { 'aria-hidden': 'true' });
      length.style.width = `${String((tookMs / longest) * 100)}%`;
      return element('tr', {}, [
        element('td', {}, [cause]),
        element('td', {}, [`${lane}, token ${token}`]),
        element('td', { class: 'took' }, [duration(tookMs), length]),
      ]);
    });
  const none = element('tr', {}, [element('td', { colspan: '3' }, ['none yet'])]);
  return element('table', {}, [
    element('caption', {}, [name]),
    element('thead', {}, [
      element(
        'tr',
        {},
        ['cause', 'next leader', 'took'].map((text) => element('th', { scope: 'col' }, [text])),
      ),
    ]),
    element('tbody', {}, rows.length === 0 ? [none] : rows),
  ]);
}

function track(canvas: HTMLCanvasElement): HTMLElement {
  return element('div', { class: 'track' }, [canvas]);
}

// Shapes

function penFor(canvas: HTMLCanvasElement, width: number, height: number): CanvasRenderingContext2D {
  const dots = devicePixelRatio;
  const [wide, high] = [Math.round(width * dots), Math.round(height * dots)];
  if (canvas.width !== wide) canvas.width = wide;
  if (canvas.height !== high) canvas.height = high;
  const pen = canvas.getContext('2d') as CanvasRenderingContext2D;
  pen.setTransform(dots, 0, 0, dots, 0, 0);
  pen.clearRect(0, 0, width, height);
  pen.font = '12px system-ui, sans-serif';
  return pen;
}

function box(
  pen: CanvasRenderingContext2D,
  x: number,
  y: number,
  width: number,
  height: number,
  colour: string,
): void {
  pen.fillStyle = colour;
  pen.fillRect(x, y, width, height);
}

function bar(
  pen: CanvasRenderingContext2D,
  x: number,
  y: number,
  width: number,
  height: number,
  fill: string,
  edge?: string,
): void {
  if (width <= 0) return;
  pen.beginPath();
  pen.roundRect(x, y, width, height, Math.min(4, width / 2));
  pen.fillStyle = fill;
  pen.fill();
  if (edge === undefined) return;
  pen.strokeStyle = edge;
  pen.lineWidth = 1;
  pen.stroke();
}

function dashes(pen: CanvasRenderingContext2D, from: number, to: number, y: number, colour: string): void {
  if (to <= from) return;
  pen.save();
  pen.setLineDash([4, 4]);
  pen.strokeStyle = colour;
  pen.lineWidth = 2;
  pen.beginPath();
  pen.moveTo(from, y);
  pen.lineTo(to, y);
  pen.stroke();
  pen.restore();
}

function hollow(
  pen: CanvasRenderingContext2D,
  x: number,
  y: number,
  width: number,
  height: number,
  colour: string,
): void {
  if (width <= 2) return;
  pen.save();
  pen.setLineDash([3, 3]);
  pen.strokeStyle = colour;
  pen.lineWidth = 1;
  pen.beginPath();
  pen.roundRect(x + 0.5, y + 0.5, width - 1, height - 1, 4);
  pen.stroke();
  pen.restore();
}

function hatch(
  pen: CanvasRenderingContext2D,
  x: number,
  y: number,
  width: number,
  height: number,
  colour: string,
): void {
  if (width <= 0) return;
  pen.save();
  pen.beginPath();
  pen.rect(x, y, width, height);
  pen.clip();
  pen.strokeStyle = colour;
  pen.lineWidth = 1;
  pen.beginPath();
  for (let at = x - (x % 6) - height; at < x + width; at += 6) {
    pen.moveTo(at, y + height);
    pen.lineTo(at + height, y);
  }
  pen.stroke();
  pen.restore();
}

function flag(pen: CanvasRenderingContext2D, x: number, y: number, colour: string): void {
  pen.fillStyle = colour;
  pen.beginPath();
  pen.moveTo(x - 5, y);
  pen.lineTo(x + 5, y);
  pen.lineTo(x, y + 8);
  pen.fill();
}

/** The least of 1, 2, 5, 10, 20, … that is no less. */
function niceStep(least: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(1, least)));
  return [1, 2, 5, 10].map((times) => times * power).find((step) => step >= least) ?? 10 * power;
}

new Page(JSON.parse(find('recording').textContent) as Recording | null);
