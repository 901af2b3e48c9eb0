/** Rows of Leases sent as text, for bodies that JSON.stringify would not write. */
import { BAD_REQUEST, leaseBody, type Row } from './row.js';

/** A POST of a text that is refused; `NAME` stands for a free name. */
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

/** A POST of a Lease with a spec that is refused. */
export function specRow(spec: string): Row {
  return textRow(`${spec} is refused`, `{"metadata":{"name":"NAME"},"spec":${spec}}`);
}

/** A POST of a spec that is accepted, and the spec that is stored. */
export function keptRow(spec: string, kept: object): Row {
  return {
    title: `${spec} is accepted`,
    request: ({ collection, free }) => ({
      method: 'POST',
      path: collection,
      body: `{"metadata":{"name":"${free}"},"spec":${spec}}`,
    }),
    status: 201,
    body: ({ namespace, free }) => leaseBody(namespace, free, kept),
  };
}
