/**
 * A run as data: everything that the page shows. The demo sends it live and writes it into a file; `npm run simulate -- --html`
 * makes it from a seed. This file is its description.
 *
 * A run is a list of events in the order of their times. Each belongs to a lane, which is a place for a process: when a process is
 * restarted, the new one continues in the lane of the old one. `text` is for people, except where the list below says what it is.
 *
 * | kind       | what happened                                          | `text`                        | also                  |
 * | ---------- | ------------------------------------------------------ | ----------------------------- | --------------------- |
 * | `lane`     | a lane begins                                          | the group of lanes            |                       |
 * | `process`  | a process starts in the lane                           | its identity                  |                       |
 * | `state`    | the process changes its state                          | a `ProcessState`              |                       |
 * | `reach`    | its way to the API server changes                      | `cut` or `open`               |                       |
 * | `act`      | somebody did something to the process, or a fault did  | what                          |                       |
 * | `term`     | a term begins                                          | a sentence; empty: `handOver` | `token`, `until`      |
 * | `renewal`  | the term is certain for longer                         | empty                         | `token`, `until`      |
 * | `termEnd`  | the term ends                                          | the reason                    | `token`, `released`   |
 * | `job`      | a job runs                                             | empty                         | `token`               |
 * | `handOver` | the next term of the group has begun                   | a sentence                    | `tookMs`, `cause`     |
 * | `request`  | the process sends a request to the API server          | the request                   |                       |
 * | `reply`    | it is answered                                         | the answer                    | `failed`              |
 * | `view`     | the process sees or does something else                | what                          |                       |
 * | `lease`    | the Lease changes                                      | what                          | `holder`              |
 * | `note`     | anything else                                          | a sentence                    |                       |
 * | `broken`   | a guarantee is broken                                  | which, and how                |                       |
 */
export interface RunEvent {
  /** Milliseconds since the run began. */
  readonly at: number;
  readonly lane: string;
  readonly kind: RunEventKind;
  readonly text: string;
  /** The fencing token of the term. */
  readonly token?: string;
  /** Until when the term is certain, in milliseconds since the run began. */
  readonly until?: number;
  /** Whether the lease was given up with the term, so that nobody waits until it runs out. */
  readonly released?: boolean;
  /** From the cause to the beginning of the next term. */
  readonly tookMs?: number;
  /** What ended the former leader, in words. */
  readonly cause?: string;
  readonly failed?: boolean;
  /** The identity in the Lease; empty: nobody's. */
  readonly holder?: string;
}

export type RunEventKind =
  | 'lane'
  | 'process'
  | 'state'
  | 'reach'
  | 'act'
  | 'term'
  | 'renewal'
  | 'termEnd'
  | 'job'
  | 'handOver'
  | 'request'
  | 'reply'
  | 'view'
  | 'lease'
  | 'note'
  | 'broken';

/** The state of a process. `frozen` is stopped by SIGSTOP, or its event loop is blocked. */
export type ProcessState = 'starting' | 'running' | 'frozen' | 'stopping' | 'gone';

/** What is the same for the whole run. */
export interface RunHeader {
  /** Incremented when an old page cannot show a new run. */
  readonly format: 1;
  readonly source: 'demo' | 'simulation';
  readonly title: string;
  /** What was run, in a few sentences. */
  readonly about: string;
  readonly leaseDurationMs: number;
  readonly renewDeadlineMs: number;
}

/** A whole run. */
export interface Recording extends RunHeader {
  readonly events: readonly RunEvent[];
}

/** What can be done to a replica. */
export const actions = ['stop', 'kill', 'crash', 'freeze', 'thaw', 'cut', 'mend', 'restart'] as const;
export type Action = (typeof actions)[number];

/** What the page asks of the demo. */
export type Command =
  /** `lane` is the name of a lane, or `leaders`: that of the leader of each group. */
  | { readonly do: Action; readonly lane: string }
  /** Start replicas that poll like client-go beside ours. */
  | { readonly do: 'startPollers' };

/** What the demo tells the page first, and again when the page has reconnected. */
export interface LiveRun extends Recording {
  /** Milliseconds since the run began. */
  readonly now: number;
  /** Whether replicas can be cut from the API server: only from the embedded one. */
  readonly canCut: boolean;
}
