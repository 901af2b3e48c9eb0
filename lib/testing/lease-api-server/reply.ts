/** An answer before it is written. */
import type { ServerResponse } from 'node:http';
import { StatusError, statusJson, unforeseen } from './status.js';
import { toJson } from './json-text.js';

/** A whole answer. */
export interface Reply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  readonly body: string;
}

/** An object, as JSON. */
export function objectReply(status: number, object: unknown, warnings: readonly string[] = []): Reply {
  const headers = warnings.length === 0 ? {} : { Warning: warningHeaders(warnings) };
  return { status, headers, body: `${toJson(object)}\n` };
}

/** In all; when there is more, each is cut short: the API server's limits. */
const MAX_WARNINGS_LENGTH = 4_096;
const MAX_CUT_WARNING_LENGTH = 256;

function warningHeaders(warnings: readonly string[]): string[] {
  const isLong = warnings.reduce((sum, { length }) => sum + length, 0) > MAX_WARNINGS_LENGTH;
  const shown = isLong
    ? warnings
        .slice(0, MAX_WARNINGS_LENGTH / MAX_CUT_WARNING_LENGTH)
        .map((text) => text.slice(0, MAX_CUT_WARNING_LENGTH))
    : warnings;
  return shown.map((text) => {
    const quoted = JSON.stringify(text).replaceAll('\x7f', '');
    // Node writes headers as latin1: this way their bytes are UTF-8.
    return `299 - ${Buffer.from(quoted).toString('latin1')}`;
  });
}

export function textReply(
  status: number,
  body: string,
  headers: Readonly<Record<string, string>> = {},
): Reply {
  return { status, headers: { 'Content-Type': 'text/plain; charset=utf-8', ...headers }, body };
}

/** An error as the server answers it; one that is not foreseen is its failure. */
export function errorReply(error: unknown): Reply {
  const failed =
    error instanceof StatusError ? error : unforeseen(error instanceof Error ? error.message : String(error));
  const { retryAfterSeconds } = failed.status.details ?? {};
  const headers = retryAfterSeconds === undefined ? {} : { 'Retry-After': String(retryAfterSeconds) };
  return { status: failed.status.code, headers, body: statusJson(failed.status) };
}

/** Writes the answer, unless nobody is there to read it. */
export function send(response: ServerResponse, { status, headers = {}, body }: Reply): void {
  if (response.destroyed || response.writableEnded) return;
  const all: Record<string, string | string[]> = {
    'Cache-Control': 'no-cache, private',
    'Content-Type': 'application/json',
    'Content-Length': String(Buffer.byteLength(body)),
  };
  for (const [name, value] of Object.entries(headers))
    all[name] = typeof value === 'string' ? value : [...value];
  response.writeHead(status, all);
  response.end(body);
}
