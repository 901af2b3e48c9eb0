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
  const headers =
    warnings.length === 0 ? {} : { Warning: warnings.map((text) => `299 - ${JSON.stringify(text)}`) };
  return { status, headers, body: `${toJson(object)}\n` };
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
