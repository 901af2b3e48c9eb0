/** The arguments of the decorators. A mistake is told where it is made, when the class is loaded. */
import { expect, it } from 'vitest';
import {
  OnNewLeader,
  OnStartedLeading,
  OnStoppedLeading,
  OnlyWhenLeader,
  RequireLeader,
} from '../../lib/index.js';

type Decorator = (argument: never) => unknown;

it.each<[Decorator, unknown, string]>([
  [OnlyWhenLeader, { otherwise: 'throw' }, "otherwise is 'throw': it must be 'skip', 'reject' or a function"],
  [OnlyWhenLeader, { elections: 'x' }, 'elections: there is no such option'],
  [OnlyWhenLeader, 'billing', 'they are string: they must be an object'],
  [OnlyWhenLeader, { election: '' }, "election is '': it must be a non-empty string"],
  [OnlyWhenLeader, { kind: 5 }, 'kind is 5: it must be a non-empty string'],
  [OnStartedLeading, { onError: 'retry' }, "onError is 'retry': it must be 'log' or 'stepDown'"],
  [OnStartedLeading, { onerror: 'stepDown' }, 'onerror: there is no such option'],
  [OnStartedLeading, 'billing', 'they are string: they must be an object'],
  [OnStoppedLeading, { onError: 'stepDown' }, 'onError: there is no such option'],
  [OnNewLeader, { onError: 'stepDown' }, 'onError: there is no such option'],
  [RequireLeader, { election: 'billing' }, "the election is { election: 'billing' }: it must be a name"],
  [RequireLeader, '', "the election is '': it must be a name"],
])('%o with %o', (decorator, argument, violation) => {
  expect(() => decorator(argument as never)).toThrow(
    expect.objectContaining({
      code: 'LEADER_INVALID_OPTIONS',
      message: expect.stringContaining(violation) as unknown,
    }),
  );
});

it('undefined options have their defaults', () => {
  for (const decorator of [OnlyWhenLeader, OnStartedLeading, OnStoppedLeading, OnNewLeader])
    expect(() => decorator({ election: undefined })).not.toThrow();
  expect(() => RequireLeader(undefined)).not.toThrow();
});
