import type { LeaseCall } from '../election/internal.js';
import { addressOf, checkedStream } from './answers.js';
import type { ApiConnection, ApiStream } from './api-connection.js';
import { UnusableObject, apiObject, type ApiObject } from './api-object.js';
import { Bytes } from './bytes.js';
import { failure, refusal, unusable, type RequestContext } from './request-errors.js';
import { LONGEST_RESPONSE_BYTES, TOO_LONG, TransportError } from './transport.js';

/**
 * The server ends a watch after this time, and it is opened again. So no watch stays for ever on a broken network
 * path.
 */
const TIMEOUT_SECONDS = 290;
/** How many bytes of a refusal are read. */
const LONGEST_REFUSAL = 64 * 1024;
const NEWLINE = 0x0a;
const NOTHING = Buffer.alloc(0);
/** The types of events that contain the watched object. */
const CHANGES: readonly unknown[] = ['ADDED', 'MODIFIED', 'DELETED'];

/** The object as it is, or as it was when it was deleted. */
interface ObjectChange {
  readonly kind: 'seen' | 'deleted';
  readonly object: ApiObject;
}

/** Which object the last event was about. */
interface Shown {
  readonly kind: ObjectChange['kind'];
  readonly uid: string;
}

/** An event of a watch on one object. */
export type ObjectEvent = { readonly kind: 'opened' } | ObjectChange;

/** Which object is watched, and how. */
export interface ObjectWatch {
  readonly connection: ApiConnection;
  /** The path of all objects of its kind. */
  readonly path: string;
  readonly context: RequestContext;
  /** The uid of the object in the last answer to another request; undefined before the first. */
  readonly knownUid: () => string | undefined;
  /** Reads the uid. */
  readonly readUid: (call: LeaseCall) => Promise<string | undefined>;
  /** May throw an `UnusableObject`, which ends the watch. */
  readonly onEvent: (event: ObjectEvent) => void;
}

/**
 * Watches one object until the server ends the stream or `signal` fires (both resolve).
 *
 * The request has no resourceVersion, so the server begins with the current object. A version could be too old or,
 * worse, newer than the server's; then the server would send nothing. The field selector allows the watch under a
 * Role with `resourceNames`.
 *
 * @throws LeaseRequestError if the watch is refused or breaks, or an event is about a different object.
 */
export async function watchObject(watch: ObjectWatch, signal: AbortSignal): Promise<void> {
  const { connection, context, onEvent } = watch;
  try {
    const response = await openWatch(connection, pathOfWatch(watch), context, signal);
    onEvent({ kind: 'opened' });
    let last: Shown | undefined;
    await useEachLine(response, async (line) => {
      const change = changeIn(line, context);
      if (change === undefined) return;
      const object = apiObject(change.object, addressOf(context));
      const { uid } = object.metadata;
      if (mayBeStranger(uid, last, watch)) await refuseStranger(uid, watch, signal);
      last = { kind: change.kind, uid };
      onEvent({ kind: change.kind, object });
    });
  } catch (error) {
    if (signal.aborted) return;
    if (error instanceof UnusableObject) throw unusable(error.message, context);
    throw failure(error, context);
  }
}

/**
 * Opens a watch. @throws what the connection throws, or LeaseRequestError if it is refused.
 */
export async function openWatch(
  connection: ApiConnection,
  path: string,
  context: RequestContext,
  signal: AbortSignal,
): Promise<ApiStream> {
  const response = checkedStream(await connection.stream(path, signal), context);
  if (response.statusCode === 200) return response;
  const text = await readRefusal(response);
  throw refusal({ status: response.statusCode ?? 0, headers: response.headers, text }, context);
}

/** Calls `use` with each whole line of a stream, one after the other. */
export async function useEachLine(
  stream: AsyncIterable<Uint8Array>,
  use: (line: string) => void | Promise<void>,
): Promise<void> {
  const lines = new Lines();
  await useEach(stream, async (chunk) => {
    for (let line = lines.add(chunk); line !== undefined; line = lines.next()) await use(line);
  });
}

function pathOfWatch({ path, context }: ObjectWatch): string {
  const query = new URLSearchParams({
    watch: 'true',
    fieldSelector: `metadata.name=${context.name}`,
    timeoutSeconds: String(TIMEOUT_SECONDS),
  });
  return `${path}?${query.toString()}`;
}

/**
 * Calls `use` with each piece of a stream, one after the other. `for await` would keep the last piece, and what was made of
 * it, while it waits for the next: megabytes for a thousand watches.
 */
async function useEach<T>(stream: AsyncIterable<T>, use: (piece: T) => Promise<void>): Promise<void> {
  const pieces = stream[Symbol.asyncIterator]();
  const useNext = async (): Promise<boolean> => {
    const next = await pieces.next();
    if (next.done !== true) await use(next.value);
    return next.done !== true;
  };
  try {
    while (await useNext());
  } catch (error) {
    await pieces.return?.();
    throw error;
  }
}

/** Whether the uid is unknown, and this watch has not shown that the known object was deleted. */
function mayBeStranger(uid: string, last: Shown | undefined, { knownUid }: ObjectWatch): boolean {
  if (last?.kind === 'deleted' || last?.uid === uid) return false;
  const known = knownUid();
  return known === undefined ? last !== undefined : known !== uid;
}

/**
 * Throws unless the present object has this uid. The known one may have been deleted between two watches, so a read
 * decides.
 */
async function refuseStranger(uid: string, { readUid }: ObjectWatch, signal: AbortSignal): Promise<void> {
  if (uid === (await readUid({ signal, newConnection: false }))) return;
  throw new UnusableObject(
    'an event is about a different object: its metadata.uid is not that of the object of this name',
  );
}

/** A change of an object, which is as it was sent. */
interface Change {
  readonly kind: ObjectChange['kind'];
  readonly object: unknown;
}

/** @returns undefined for an event without an object. @throws LeaseRequestError, UnusableObject */
export function changeIn(line: string, context: RequestContext): Change | undefined {
  const { type, object } = parse(line, context);
  // 410 arrives as an event, with HTTP status 200. The next watch begins with the current state anyway.
  if (type === 'ERROR')
    throw refusal({ status: codeOf(object), headers: {}, text: JSON.stringify(object) }, context);
  if (type === 'BOOKMARK' || isEmpty(object)) return undefined;
  if (!CHANGES.includes(type)) throw new UnusableObject('an event has an unknown type');
  return { kind: type === 'DELETED' ? 'deleted' : 'seen', object };
}

function parse(line: string, context: RequestContext): { readonly type: unknown; readonly object: unknown } {
  let event: unknown;
  try {
    event = JSON.parse(line);
  } catch {
    // The parser's message quotes the line, so the message is not passed on.
  }
  if (typeof event === 'object' && event !== null && 'type' in event && 'object' in event) return event;
  throw refusal({ status: 200, headers: {}, text: '' }, context);
}

/** The HTTP status in an ERROR event; 0 if there is none. */
function codeOf(status: unknown): number {
  const { code } = Object(status) as { readonly code?: unknown };
  return typeof code === 'number' && Number.isInteger(code) ? code : 0;
}

function isEmpty(object: unknown): boolean {
  return (
    typeof object === 'object' &&
    object !== null &&
    !Array.isArray(object) &&
    Object.keys(object).length === 0
  );
}

/** The lines of a stream, without an incomplete last one. */
class Lines {
  /** The beginning of a line that has not ended. */
  readonly #begun = new Bytes(LONGEST_RESPONSE_BYTES);
  #rest: Buffer = NOTHING;

  /** More of the stream has come. @returns the next line, if it is whole. */
  add(chunk: Uint8Array): string | undefined {
    this.#rest = Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk);
    return this.next();
  }

  /** @returns undefined when there is no whole line left. */
  next(): string | undefined {
    for (let end = this.#rest.indexOf(NEWLINE); end >= 0; end = this.#rest.indexOf(NEWLINE)) {
      const text = this.#ended(this.#rest.subarray(0, end));
      this.#rest = this.#rest.subarray(end + 1);
      if (text !== '') return text;
    }
    if (this.#rest.length > 0) this.#keep(this.#rest);
    this.#rest = NOTHING;
    return undefined;
  }

  #ended(piece: Buffer): string {
    if (this.#begun.isEmpty && piece.length <= LONGEST_RESPONSE_BYTES) return piece.toString('utf8');
    this.#keep(piece);
    return this.#begun.take();
  }

  #keep(piece: Buffer): void {
    if (!this.#begun.add(piece)) throw new TransportError(TOO_LONG, true);
  }
}

/** Reads a refusal up to the limit. A longer one is cut off and cannot be parsed. */
async function readRefusal(stream: AsyncIterable<Uint8Array>): Promise<string> {
  const text = new Bytes(LONGEST_REFUSAL);
  for await (const chunk of stream) if (!text.add(Buffer.from(chunk))) break;
  return text.take();
}
