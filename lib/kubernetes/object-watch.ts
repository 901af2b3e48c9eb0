import type { LeaseCall } from '../election/index.js';
import { addressOf, checkedStream } from './answers.js';
import type { ApiConnection } from './api-connection.js';
import { UnusableObject, apiObject, type ApiObject } from './api-object.js';
import { Bytes } from './bytes.js';
import { failure, refusal, unusable, type RequestContext } from './request-errors.js';
import { LONGEST_RESPONSE_BYTES, TOO_LONG, TransportError } from './transport.js';

/** Ends and is opened anew this often, so that no watch lives for ever on a path that changed. */
const TIMEOUT_SECONDS = 290;
/** Of the answer to a watch that was refused. */
const LONGEST_REFUSAL = 64 * 1024;
const NEWLINE = 0x0a;
/** The types of events that show the object. */
const CHANGES: readonly unknown[] = ['ADDED', 'MODIFIED', 'DELETED'];

/** The object as it is, or as it was when it was deleted. */
interface ObjectChange {
  readonly kind: 'seen' | 'deleted';
  readonly object: ApiObject;
}

/** What a watch on one object tells. */
export type ObjectEvent = { readonly kind: 'opened' } | ObjectChange;

/** Which object is watched, and how. */
export interface ObjectWatch {
  readonly connection: ApiConnection;
  /** That of all objects of its kind. */
  readonly path: string;
  readonly context: RequestContext;
  /** The uid of the object as another answer last showed it; undefined before that. */
  readonly knownUid: () => string | undefined;
  /** Asks for it. */
  readonly readUid: (call: LeaseCall) => Promise<string | undefined>;
  /** May throw an `UnusableObject`, which ends the watch. */
  readonly onEvent: (event: ObjectEvent) => void;
}

/**
 * Watches one object until the server ends the stream or `signal` fires (both resolve).
 *
 * It asks for no resourceVersion: then the server begins with the object as it is, and there is no version to be too old
 * or, worse, ahead of the server's, which is answered with silence. The field selector lets a Role that is limited by
 * `resourceNames` permit it.
 *
 * @throws LeaseRequestError when it is refused or breaks, and when it tells of another object.
 */
export async function watchObject(watch: ObjectWatch, signal: AbortSignal): Promise<void> {
  const { connection, path, context, onEvent } = watch;
  const query = new URLSearchParams({
    watch: 'true',
    fieldSelector: `metadata.name=${context.name}`,
    timeoutSeconds: String(TIMEOUT_SECONDS),
  });
  try {
    const response = checkedStream(await connection.stream(`${path}?${query.toString()}`, signal), context);
    if (response.statusCode !== 200) {
      const text = await readRefusal(response);
      throw refusal({ status: response.statusCode ?? 0, headers: response.headers, text }, context);
    }
    onEvent({ kind: 'opened' });
    let last: ObjectChange | undefined;
    for await (const line of linesOf(response)) {
      const change = changeIn(line, context);
      if (change === undefined) continue;
      await refuseStranger(change, last, watch, signal);
      last = change;
      onEvent(change);
    }
  } catch (error) {
    if (signal.aborted) return;
    if (error instanceof UnusableObject) throw unusable(error.message, context);
    throw failure(error, context);
  }
}

/**
 * An object of another uid than the last is there only when that was deleted. Should the deletion not have been told, as between two
 * watches, a read proves it.
 */
async function refuseStranger(
  { object }: ObjectChange,
  last: ObjectChange | undefined,
  { knownUid, readUid }: ObjectWatch,
  signal: AbortSignal,
): Promise<void> {
  const { uid } = object.metadata;
  const known = [last?.object.metadata.uid, knownUid()].filter((each) => each !== undefined);
  if (last?.kind === 'deleted' || known.length === 0 || known.includes(uid)) return;
  if (uid === (await readUid({ signal, newConnection: false }))) return;
  throw new UnusableObject(
    'an event is about another object, whose metadata.uid the one of this name does not have',
  );
}

/** @returns undefined for what tells of no object. */
function changeIn(line: string, context: RequestContext): ObjectChange | undefined {
  const { type, object } = parse(line, context);
  // 410 comes with HTTP status 200, as an event. The next watch begins with the present state anyway.
  if (type === 'ERROR')
    throw refusal({ status: codeOf(object), headers: {}, text: JSON.stringify(object) }, context);
  if (type === 'BOOKMARK' || isEmpty(object)) return undefined;
  if (!CHANGES.includes(type)) throw new UnusableObject('an event is of no type that a watch has');
  return { kind: type === 'DELETED' ? 'deleted' : 'seen', object: apiObject(object, addressOf(context)) };
}

function parse(line: string, context: RequestContext): { readonly type: unknown; readonly object: unknown } {
  let event: unknown;
  try {
    event = JSON.parse(line);
  } catch {
    // The parser's message quotes the line, so it is not passed on.
  }
  if (typeof event === 'object' && event !== null && 'type' in event && 'object' in event) return event;
  throw refusal({ status: 200, headers: {}, text: '' }, context);
}

/** The HTTP status in an ERROR event, 0 when none is in it. */
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

/** Its lines, without the one that is cut off at the end. */
async function* linesOf(stream: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const line = new Bytes(LONGEST_RESPONSE_BYTES);
  const add = (piece: Uint8Array): void => {
    if (!line.add(piece)) throw new TransportError(TOO_LONG, true);
  };
  for await (const chunk of stream) {
    let rest = Buffer.from(chunk);
    for (let end = rest.indexOf(NEWLINE); end >= 0; end = rest.indexOf(NEWLINE)) {
      add(rest.subarray(0, end));
      const text = line.take();
      if (text !== '') yield text;
      rest = rest.subarray(end + 1);
    }
    add(rest);
  }
}

/** As much of it as counts: a longer one is cut, and then says nothing. */
async function readRefusal(stream: AsyncIterable<Uint8Array>): Promise<string> {
  const text = new Bytes(LONGEST_REFUSAL);
  for await (const chunk of stream) if (!text.add(Buffer.from(chunk))) break;
  return text.take();
}
