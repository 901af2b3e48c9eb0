/** Leases sent as text, for what JSON.stringify would not write. */
import { BAD_REQUEST, leaseBody, type Row } from './row.js';

/** A POST of this text, which is no Lease; `NAME` stands for a free name. */
export function textRow(title: string, text: string): Row {
  return {
    title,
    request: ({ collection, free }) => ({
      method: 'POST',
      path: collection,
      body: text.replace('NAME', free),
    }),
    status: 400,
    body: () => BAD_REQUEST,
  };
}

/** A POST of a Lease with this spec, as text. */
export function specRow(spec: string): Row {
  return textRow(`${spec} is refused`, `{"metadata":{"name":"NAME"},"spec":${spec}}`);
}

/** A POST of this spec, and what is stored of it. */
export function keptRow(spec: string, kept: object): Row {
  return {
    title: `${spec} is taken`,
    request: ({ collection, free }) => ({
      method: 'POST',
      path: collection,
      body: `{"metadata":{"name":"${free}"},"spec":${spec}}`,
    }),
    status: 201,
    body: ({ namespace, free }) => leaseBody(namespace, free, kept),
  };
}
