/** JSON patches: a PATCH as a list of operations. */
import { patch } from './patch-request.js';
import { BAD_REQUEST, failureBody, leaseBody, preparedSpec, type Row } from './row.js';

const REJECTED = failureBody(422, 'Invalid', {});

export const jsonPatchRows: readonly Row[] = [
  {
    title: 'json-patch: test, replace, add and remove',
    request: () =>
      patch('json-patch', [
        { op: 'test', path: '/spec/holderIdentity', value: 'first' },
        { op: 'replace', path: '/spec/holderIdentity', value: 'second' },
        { op: 'add', path: '/metadata/labels', value: { 'example.com/a': 'b' } },
        { op: 'replace', path: '/metadata/labels/example.com~1a', value: 'c' },
        { op: 'remove', path: '/spec/acquireTime' },
      ]),
    status: 200,
    body: ({ namespace, name }) => {
      const { acquireTime: _gone, ...spec } = preparedSpec;
      return leaseBody(
        namespace,
        name,
        { ...spec, holderIdentity: 'second' },
        { labels: { 'example.com/a': 'c' } },
      );
    },
  },
  {
    title: 'json-patch: move and copy',
    request: () =>
      patch('json-patch', [
        { op: 'copy', from: '/spec/acquireTime', path: '/spec/renewTime' },
        { op: 'move', from: '/spec/holderIdentity', path: '/spec/preferredHolder' },
        { op: 'add', path: '/spec/strategy', value: 'OldestEmulationVersion' },
        { op: 'add', path: '/spec/holderIdentity', value: 'second' },
      ]),
    status: 200,
    body: ({ namespace, name }) =>
      leaseBody(namespace, name, {
        ...preparedSpec,
        holderIdentity: 'second',
        renewTime: preparedSpec.acquireTime,
        strategy: 'OldestEmulationVersion',
        preferredHolder: 'first',
      }),
  },
  ...[
    [{ op: 'test', path: '/spec/holderIdentity', value: 'other' }],
    [{ op: 'remove', path: '/spec/none' }],
    [{ op: 'replace', path: '/none/deep', value: 1 }],
    [{ op: 'add', path: '/none/deep', value: 1 }],
  ].map((body): Row => ({
    title: `json-patch: ${JSON.stringify(body[0])} cannot be applied`,
    request: () => patch('json-patch', body),
    status: 422,
    body: () => REJECTED,
  })),
  {
    title: 'json-patch: replace may add a member',
    request: () => patch('json-patch', [{ op: 'replace', path: '/spec/foo', value: 1 }]),
    status: 200,
    body: ({ namespace, name }) => leaseBody(namespace, name, preparedSpec),
  },
  {
    title: 'json-patch: an absent value counts as null',
    request: () => patch('json-patch', [{ op: 'add', path: '/spec/holderIdentity' }]),
    status: 200,
    body: ({ namespace, name }) => {
      const { holderIdentity: _gone, ...spec } = preparedSpec;
      return leaseBody(namespace, name, spec);
    },
  },
  {
    title: 'json-patch: an unknown operation',
    request: () => patch('json-patch', [{ op: 'wish', path: '/spec' }]),
    status: 422,
    body: () => REJECTED,
  },
  {
    title: 'json-patch: a list of numbers',
    request: () => patch('json-patch', [1]),
    status: 400,
    body: () => BAD_REQUEST,
  },
  {
    title: 'json-patch: an object',
    request: () => patch('json-patch', '{}'),
    status: 400,
    body: () => BAD_REQUEST,
  },
];
