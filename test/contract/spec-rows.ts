/** What a spec must be: 422. */
import { failureBody, invalidBody, leaseBody, type Cause, type Prepared, type Row } from './row.js';
import { NAME_PART, wrong } from './validation-cause.js';

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

const STRATEGY = 'Unsupported value: "Foo": supported values: "OldestEmulationVersion"';
const DURATION = 'spec.leaseDurationSeconds';
const specs: readonly Row[] = [
  specRow({ leaseDurationSeconds: 0 }, wrong(DURATION, '0', 'must be greater than 0')),
  specRow({ leaseDurationSeconds: -1 }, wrong(DURATION, '-1', 'must be greater than 0')),
  specRow(
    { leaseTransitions: -1 },
    wrong('spec.leaseTransitions', '-1', 'must be greater than or equal to 0'),
  ),
  specRow(
    { leaseDurationSeconds: 0, leaseTransitions: -2 },
    wrong(DURATION, '0', 'must be greater than 0'),
    wrong('spec.leaseTransitions', '-2', 'must be greater than or equal to 0'),
  ),
  specRow(
    { strategy: 'Foo' },
    { reason: 'FieldValueNotSupported', message: STRATEGY, field: 'spec.strategy.strategy' },
  ),
  specRow(
    { strategy: '' },
    {
      reason: 'FieldValueNotSupported',
      message: STRATEGY.replace('Foo', ''),
      field: 'spec.strategy.strategy',
    },
  ),
  specRow({ strategy: 'example.com/-' }, wrong('spec.strategy.strategy', '"example.com/-"', NAME_PART)),
  specRow(
    { preferredHolder: 'a' },
    {
      reason: 'FieldValueForbidden',
      message: 'Forbidden: may only be specified if `strategy` is defined',
      field: 'spec.preferredHolder',
    },
  ),
  {
    title: 'a strategy with a domain, a preferred holder with a strategy and an empty one are taken',
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
    title: 'an invalid Lease whose name exists is invalid, not a duplicate',
    request: ({ collection, name }) => ({
      method: 'POST',
      path: collection,
      body: { metadata: { name }, spec: { leaseDurationSeconds: 0 } },
    }),
    status: 422,
    body: ({ name }) => invalidBody(name, wrong(DURATION, '0', 'must be greater than 0')),
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
    body: () =>
      failureBody(
        422,
        'Invalid',
        'CreateOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: ["Some"]: supported values: "All"',
        {
          group: 'meta.k8s.io',
          kind: 'CreateOptions',
          causes: [
            {
              reason: 'FieldValueNotSupported',
              message: 'Unsupported value: ["Some"]: supported values: "All"',
              field: 'dryRun',
            },
          ],
        },
      ),
  },
];

export const specRows: readonly Row[] = [...specs, ...changes];
