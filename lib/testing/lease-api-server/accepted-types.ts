/** In which form the client takes its answer. */
import { notAcceptable } from './status.js';
import { tableForm, type TableForm } from './table.js';

/**
 * The first form of what the client accepts that is served: a table, or undefined for plain JSON.
 *
 * @throws StatusError 406 when there is none, 400 for a table that cannot be
 */
export function acceptedForm(accept: string | undefined, query: URLSearchParams): TableForm | undefined {
  if (accept === undefined || accept.trim() === '') return undefined;
  for (const clause of accept.split(',')) {
    const [type, ...parameters] = clause.split(';').map((part) => part.trim());
    if (type !== 'application/json' && type !== '*/*') continue;
    const { as, g, v } = Object.fromEntries(parameters.map((each) => each.split('='))) as Readonly<
      Partial<Record<'as' | 'g' | 'v', string>>
    >;
    if (as === undefined) return undefined;
    const isServed = as === 'Table' && g === 'meta.k8s.io' && (v === 'v1' || v === 'v1beta1');
    if (isServed) return tableForm(v, query);
  }
  throw notAcceptable(['application/json']);
}
