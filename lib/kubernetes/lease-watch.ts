import { StringDecoder } from 'node:string_decoder';
import type { WatchEvent } from '../election/index.js';
import type { ApiConnection } from './api-connection.js';
import { parseLease } from './lease-object.js';
import { failure, refusal, type RequestContext } from './request-errors.js';
import { TransportError } from './transport.js';

/** Ends and is opened anew this often, so that no watch lives for ever on a path that changed. */
const TIMEOUT_SECONDS = 290;
/** A Lease is at most 1.5 MB. */
const LONGEST_LINE = 3 * 1024 * 1024;
/** Of the answer to a watch that was refused. */
const LONGEST_REFUSAL = 64 * 1024;

/**
 * Watches one Lease until the server ends the stream or `signal` fires (both resolve).
 *
 * It asks for no resourceVersion: then the server begins with the lease as it is, and there is no version to be too old
 * or, worse, ahead of the server's, which is answered with silence. The field selector lets a Role that is limited by
 * `resourceNames` permit it.
 *
 * @throws LeaseRequestError when it is refused or breaks.
 */
export async function watchLease(
  connection: ApiConnection,
  leasesPath: string,
  context: RequestContext,
  onEvent: (event: WatchEvent) => void,
  signal: AbortSignal,
): Promise<void> {
  const query = new URLSearchParams({
    watch: 'true',
    fieldSelector: `metadata.name=${context.name}`,
    timeoutSeconds: String(TIMEOUT_SECONDS),
  });
  try {
    const response = await connection.stream(`${leasesPath}?${query.toString()}`, signal);
    if (response.statusCode !== 200) {
      const text = await readRefusal(response);
      throw refusal({ status: response.statusCode ?? 0, headers: response.headers, text }, context);
    }
    onEvent({ kind: 'opened' });
    for await (const line of linesOf(response)) onLine(line, context, onEvent);
  } catch (error) {
    if (signal.aborted) return;
    throw failure(error, context);
  }
}

function onLine(line: string, context: RequestContext, onEvent: (event: WatchEvent) => void): void {
  const { type, object } = eventIn(line, context);
  // 410 comes with HTTP status 200, as an event. The next watch begins with the present state anyway.
  if (type === 'ERROR')
    throw refusal({ status: object.code ?? 0, headers: {}, text: JSON.stringify(object) }, context);
  const snapshot = parseLease(object);
  if (snapshot === undefined || type === 'BOOKMARK') return;
  if (type === 'DELETED') onEvent({ kind: 'deleted', resourceVersion: snapshot.resourceVersion });
  else onEvent({ kind: 'seen', snapshot });
}

function eventIn(line: string, context: RequestContext): { type: string; object: { code?: number } } {
  try {
    return JSON.parse(line) as ReturnType<typeof eventIn>;
  } catch {
    // The parser's message quotes the line, so it is not passed on.
    throw refusal({ status: 200, headers: {}, text: '' }, context);
  }
}

async function* linesOf(stream: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  for await (const chunk of stream) {
    const lines = (rest + decoder.write(chunk)).split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > LONGEST_LINE) throw new TransportError('WATCH_EVENT_TOO_LONG', true);
    for (const line of lines) if (line !== '') yield line;
  }
}

async function readRefusal(stream: AsyncIterable<Uint8Array>): Promise<string> {
  let text = '';
  for await (const chunk of stream) {
    text += Buffer.from(chunk).toString('utf8');
    if (text.length > LONGEST_REFUSAL) break;
  }
  return text;
}
