import { boundSignal, systemClock, type Clock } from '../election/internal.js';
import { checkedResponse, jsonIn, reading } from './answers.js';
import type { ApiConnection, ApiResponse } from './api-connection.js';
import { UnusableObject } from './api-object.js';
import { factsOf, type LeaseFacts } from './lease-facts.js';
import { changeIn, openWatch, useEachLine } from './object-watch.js';
import { failure, refusal, saysNoLease, unusable, type RequestContext } from './request-errors.js';
import { LEASES, pathOf, pathOfAll } from './resources.js';

/** Which Leases are observed. */
export interface ObservedLeases {
  /** `''`: every namespace. */
  readonly namespace: string;
  /** Undefined: all of them. */
  readonly name?: string | undefined;
}

/** The Leases as one read showed them. */
export interface LeasesSeen {
  readonly leases: readonly LeaseFacts[];
  /** From where a watch continues; undefined when the only Lease that is observed does not exist. */
  readonly resourceVersion: string | undefined;
  /** The API server's clock when it answered, in milliseconds since 1970, cut to a second. */
  readonly serverTime: number | undefined;
}

/** A change of one of the Leases. */
export interface LeaseChange {
  readonly kind: 'seen' | 'deleted';
  readonly lease: LeaseFacts;
}

/** How many Leases one answer contains at most: a cluster has one for each node. */
const PAGE = 500;
/** A server that sends more pages than a cluster can have Leases is not one that ever ends. */
const MOST_PAGES = 1_000;
const WATCH_SECONDS = 290;
/** The year 10000. */
const LAST_TIME = Date.UTC(10_000, 0);

/** Reads and watches Leases without taking part in an election. A single Lease needs `get` and `watch` on its name only. */
export class LeaseObserver {
  readonly #connection: ApiConnection;
  readonly #leases: ObservedLeases;
  readonly #patienceMs: number;
  readonly #clock: Clock;

  /** @param patienceMs how many milliseconds to wait for the answer to a read. */
  constructor(
    connection: ApiConnection,
    leases: ObservedLeases,
    patienceMs: number,
    clock: Clock = systemClock,
  ) {
    this.#connection = connection;
    this.#leases = leases;
    this.#patienceMs = patienceMs;
    this.#clock = clock;
  }

  /** @throws LeaseRequestError */
  async read(signal: AbortSignal): Promise<LeasesSeen> {
    return this.#leases.name === undefined ? this.#readAll(signal) : this.#readOne(this.#leases.name, signal);
  }

  /**
   * Watches from a version that {@link read} returned, until the server ends the watch or `signal` fires.
   *
   * @throws LeaseRequestError if the watch is refused or breaks. Read again then.
   */
  async watch(
    from: string | undefined,
    on: { readonly opened?: () => void; readonly change: (change: LeaseChange) => void },
    signal: AbortSignal,
  ): Promise<void> {
    const { namespace, name } = this.#leases;
    const context = this.#context('watch');
    const query = new URLSearchParams({
      watch: 'true',
      timeoutSeconds: String(WATCH_SECONDS),
      ...(name !== undefined && { fieldSelector: `metadata.name=${name}` }),
      ...(from !== undefined && { resourceVersion: from }),
    });
    try {
      const path = `${this.#pathOfAll()}?${query.toString()}`;
      const stream = await openWatch(this.#connection, path, context, signal);
      on.opened?.();
      await useEachLine(stream, (line) => {
        const change = changeIn(line, context);
        if (change !== undefined)
          on.change({ kind: change.kind, lease: factsOf(change.object, namespace, name) });
      });
    } catch (error) {
      if (signal.aborted) return;
      throw error instanceof UnusableObject ? unusable(error.message, context) : failure(error, context);
    }
  }

  async #readOne(name: string, signal: AbortSignal): Promise<LeasesSeen> {
    const { namespace } = this.#leases;
    const context = this.#context('get');
    const response = await this.#get(pathOf(LEASES, 'v1', { namespace, name }), context, signal);
    const serverTime = timeOf(response);
    if (saysNoLease(response)) return { leases: [], resourceVersion: undefined, serverTime };
    if (response.status !== 200) throw refusal(response, context);
    const lease = reading(context, () => factsOf(jsonIn(response, context), namespace, name));
    return { leases: [lease], resourceVersion: lease.resourceVersion, serverTime };
  }

  async #readAll(signal: AbortSignal): Promise<LeasesSeen> {
    const context = this.#context('list');
    const leases: LeaseFacts[] = [];
    let page = { next: '', resourceVersion: '' };
    let serverTime: number | undefined;
    let pages = 0;
    do {
      if (++pages > MOST_PAGES) throw unusable(`the list has more than ${String(MOST_PAGES)} pages`, context);
      const query = new URLSearchParams({
        limit: String(PAGE),
        ...(page.next !== '' && { continue: page.next }),
      });
      const response = await this.#get(`${this.#pathOfAll()}?${query.toString()}`, context, signal);
      if (response.status !== 200) throw refusal(response, context);
      serverTime = timeOf(response);
      page = reading(context, () => {
        const { items, next, resourceVersion } = listIn(jsonIn(response, context));
        for (const item of items) leases.push(factsOf(item, this.#leases.namespace));
        return { next, resourceVersion };
      });
    } while (page.next !== '');
    return { leases, resourceVersion: page.resourceVersion, serverTime };
  }

  async #get(path: string, context: RequestContext, signal: AbortSignal): Promise<ApiResponse> {
    const [clock, ms] = [this.#clock, this.#patienceMs];
    const error = (): Error => new Error(`There was no answer within ${String(ms)} ms.`);
    const bound = boundSignal({ signal, deadline: { clock, ms, error } });
    try {
      const request = { method: 'GET', path, signal: bound.signal, newConnection: false } as const;
      return checkedResponse(await this.#connection.request(request), context);
    } catch (problem) {
      throw failure(problem, context);
    } finally {
      bound.dispose();
    }
  }

  #pathOfAll(): string {
    const { namespace } = this.#leases;
    return namespace === '' ? pathOfAll(LEASES, 'v1') : pathOf(LEASES, 'v1', { namespace });
  }

  #context(verb: RequestContext['verb']): RequestContext {
    return { verb, resource: LEASES, name: this.#leases.name ?? '', namespace: this.#leases.namespace };
  }
}

/** @throws UnusableObject */
function listIn(value: unknown): {
  readonly items: readonly unknown[];
  readonly next: string;
  readonly resourceVersion: string;
} {
  const { items, metadata } = Object(value) as { items?: unknown; metadata?: unknown };
  const fields = Object(metadata) as { continue?: unknown; resourceVersion?: unknown };
  // A list without items is sent as null.
  if (items !== undefined && items !== null && !Array.isArray(items))
    throw new UnusableObject('its items are no list');
  if (typeof fields.resourceVersion !== 'string')
    throw new UnusableObject('metadata.resourceVersion is missing');
  return {
    items: (items as readonly unknown[] | null | undefined) ?? [],
    next: typeof fields.continue === 'string' ? fields.continue : '',
    resourceVersion: fields.resourceVersion,
  };
}

function timeOf({ headers }: ApiResponse): number | undefined {
  const { date } = headers;
  const time = typeof date === 'string' ? Date.parse(date) : Number.NaN;
  // A time near the end of what a Date can hold could not be shown a moment later.
  return time < LAST_TIME ? time : undefined;
}
