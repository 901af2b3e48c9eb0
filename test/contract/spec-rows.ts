/** The rules of the spec: 422. */
import type { Cause } from './normal-form.js';
import { invalidBody, invalidOptionsBody, leaseBody, wrong, type Prepared, type Row } from './row.js';

/** A POST of this spec. */
function specRow(spec: object, ...causes: readonly Cause[]): Row {
  return {
    title: `spec ${JSON.stringify(spec)} is refused`,
    request: ({ collection, free }) => ({
      method: 'POST',
      path: collection,
      body: { metadata: { name: free }, spec },
    }),
    status: 422,
    body: ({ free }) => invalidBody(free, ...causes),
  };
}

const DURATION = 'spec.leaseDurationSeconds';
const STRATEGY = 'spec.strategy.strategy';
const specs: readonly Row[] = [
  specRow({ leaseDurationSeconds: 0 }, wrong(DURATION)),
  specRow({ leaseDurationSeconds: -1 }, wrong(DURATION)),
  specRow({ leaseTransitions: -1 }, wrong('spec.leaseTransitions')),
  specRow({ leaseDurationSeconds: 0, leaseTransitions: -2 }, wrong(DURATION), wrong('spec.leaseTransitions')),
  specRow({ strategy: 'Foo' }, { reason: 'FieldValueNotSupported', field: STRATEGY }),
  specRow({ strategy: '' }, { reason: 'FieldValueNotSupported', field: STRATEGY }),
  specRow({ strategy: 'example.com/-' }, wrong(STRATEGY)),
  specRow({ preferredHolder: 'a' }, { reason: 'FieldValueForbidden', field: 'spec.preferredHolder' }),
  {
    title: 'a strategy with a domain and an empty preferredHolder are accepted',
    request: ({ collection, free }) => ({
      method: 'POST',
      path: collection,
      body: {
        metadata: { name: free },
        spec: { strategy: 'example.com/mine', holderIdentity: 'a', preferredHolder: '' },
      },
    }),
    status: 201,
    body: ({ namespace, free }) =>
      leaseBody(namespace, free, { holderIdentity: 'a', strategy: 'example.com/mine', preferredHolder: '' }),
  },
];

const changes: readonly Row[] = [
  {
    title: 'an invalid Lease with a name that exists is invalid, not a duplicate',
    request: ({ collection, name }) => ({
      method: 'POST',
      path: collection,
      body: { metadata: { name }, spec: { leaseDurationSeconds: 0 } },
    }),
    status: 422,
    body: ({ name }) => invalidBody(name, wrong(DURATION)),
  },
  {
    title: 'transitions and renewTime may go back',
    request: ({ item, name, version }) => ({
      method: 'PUT',
      path: item,
      body: {
        metadata: { name, resourceVersion: version },
        spec: { leaseTransitions: 0, renewTime: '2000-01-01T00:00:00.000000Z' },
      },
    }),
    status: 200,
    body: ({ namespace, name }: Prepared) =>
      leaseBody(namespace, name, { renewTime: '2000-01-01T00:00:00.000000Z', leaseTransitions: 0 }),
  },
  {
    title: 'an unknown dryRun is refused',
    request: ({ collection, free }) => ({
      method: 'POST',
      path: `${collection}?dryRun=Some`,
      body: { metadata: { name: free } },
    }),
    status: 422,
    body: () => invalidOptionsBody('CreateOptions', { reason: 'FieldValueNotSupported', field: 'dryRun' }),
  },
];

export const specRows: readonly Row[] = [...specs, ...changes];
