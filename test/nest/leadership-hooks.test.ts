/** `@OnStartedLeading()`, `@OnStoppedLeading()` and `@OnNewLeader()` in real applications. */
import { Controller, Injectable, Logger, Scope, UseGuards, type CanActivate } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { LeadershipTerm, ScriptedElector, TermEndReason } from '../../lib/election/index.js';
import {
  LeaderElectionModule,
  LeaderService,
  OnNewLeader,
  OnStartedLeading,
  OnStoppedLeading,
  currentTerm,
  getElectorToken,
} from '../../lib/index.js';
import { LeaderElectionTestingModule, SimulatedTime } from '../../lib/testing.js';
import { applicationOf, applicationWith, type Tested } from './application.js';
import { Replicas } from './replicas.js';

let told: unknown[] = [];
let warned: string[] = [];
let tested: Tested | undefined;
beforeEach(() => {
  told = [];
  warned = [];
  vi.spyOn(Logger.prototype, 'warn').mockImplementation((line: unknown) => {
    warned.push(String(line));
  });
});
afterEach(async () => {
  await tested?.app.close();
  tested = undefined;
  vi.restoreAllMocks();
});

@Injectable()
class Base {
  @OnStartedLeading()
  started(term: LeadershipTerm): void {
    told.push(['started', term.fencingToken, currentTerm() === term]);
  }

  @OnStoppedLeading()
  stopped(reason: TermEndReason, term: LeadershipTerm): void {
    told.push(['stopped', reason, term.isOver]);
  }
}

@Injectable()
class Inheriting extends Base {
  @OnNewLeader()
  newLeader(identity: string): void {
    told.push(['leader', identity]);
  }
}

describe('hooks', () => {
  it('are called in order with the term, the reason and the name, inherited ones too', async () => {
    tested = await applicationOf(Inheriting);
    tested.elector.grant({ fencingToken: 7n });
    tested.elector.revoke('deadline', 'other');
    expect(told).toEqual([
      ['started', 7n, true],
      ['leader', tested.elector.identity],
      ['stopped', 'deadline', true],
      ['leader', 'other'],
    ]);
  });

  it('are called on controllers, and beside other decorators', async () => {
    class Open implements CanActivate {
      canActivate(): boolean {
        return true;
      }
    }
    @Controller()
    class Board {
      @UseGuards(Open)
      @OnNewLeader()
      @OnStoppedLeading()
      changed(what: string): void {
        told.push(what);
      }
    }
    tested = await applicationWith({ controllers: [Board] });
    tested.elector.grant();
    tested.elector.revoke('deadline', 'other');
    expect(told).toEqual([tested.elector.identity, 'deadline', 'other']);
  });

  it('are called after the listeners that start hooks have added', async () => {
    @Injectable()
    class Listening extends Base {
      constructor(private readonly leader: LeaderService) {
        super();
      }

      onApplicationBootstrap(): void {
        this.leader.on('startedLeading', () => told.push('listener'));
      }
    }
    tested = await applicationOf(Listening);
    tested.elector.grant();
    expect(told).toEqual(['listener', ['started', 1n, true]]);
  });

  it('of one election are not called for another', async () => {
    @Injectable()
    class Billing {
      @OnStartedLeading({ election: 'billing' })
      started(): void {
        told.push('billing');
      }
    }
    tested = await applicationWith({
      imports: [LeaderElectionTestingModule.forRoot({ name: 'billing' })],
      providers: [Billing],
    });
    tested.elector.grant();
    expect(told).toEqual([]);
    tested.app.get<ScriptedElector>(getElectorToken('billing')).grant();
    expect(told).toEqual(['billing']);
  });
});

describe('work in @OnStartedLeading()', () => {
  it('delays a hand-over, and the error of its term is not reported', async () => {
    @Injectable()
    class Relay {
      @OnStartedLeading()
      async run({ signal }: LeadershipTerm): Promise<void> {
        await new Promise((resolve) => {
          signal.addEventListener('abort', resolve, { once: true });
        });
        await new Promise((resolve) => {
          setImmediate(resolve);
        });
        told.push('drained');
        currentTerm().throwIfOver();
      }

      @OnStoppedLeading()
      stopped(reason: string): void {
        told.push(reason);
      }
    }
    tested = await applicationOf(Relay);
    tested.elector.grant();
    await tested.elector.stepDown();
    expect(told).toEqual(['drained', 'steppedDown']);
    expect(warned.filter((line) => line.includes('LISTENER'))).toEqual([]);
  });

  it('that fails is logged, and affects neither the term nor other hooks', async () => {
    @Injectable()
    class Failing {
      @OnStartedLeading()
      throws(): void {
        throw new Error('planted');
      }

      @OnStartedLeading()
      async rejects(): Promise<void> {
        await Promise.reject(new Error('planted later'));
      }

      @OnStartedLeading()
      works(): void {
        told.push('works');
      }
    }
    tested = await applicationOf(Failing);
    tested.elector.grant();
    await vi.waitUntil(() => warned.some((line) => line.includes('rejected')));
    expect(told).toEqual(['works']);
    expect(tested.elector.state.kind).toBe('leading');
    expect(warned.join('\n')).toMatch(/LEADER_LISTENER_FAILED/);
  });
});

describe("@OnStartedLeading({ onError: 'stepDown' })", () => {
  it.each([
    [
      // The term is over for the hooks after it.
      'throws',
      ['steppedDown'],
      (): Promise<void> => {
        throw new Error('planted');
      },
    ],
    ['rejects', ['works', 'steppedDown'], (): Promise<void> => Promise.reject(new Error('planted'))],
    [
      'rejects later',
      ['works', 'steppedDown'],
      async (): Promise<void> => {
        await new Promise(setImmediate);
        throw new Error('planted');
      },
    ],
  ])('hands over a term whose hook %s, and logs the error', async (_, expected, fail) => {
    @Injectable()
    class Failing {
      @OnStartedLeading({ onError: 'stepDown' })
      started(): unknown {
        return fail();
      }

      @OnStartedLeading()
      works(): void {
        told.push('works');
      }

      @OnStoppedLeading()
      stopped(reason: string): void {
        told.push(reason);
      }
    }
    tested = await applicationOf(Failing);
    tested.elector.grant();
    await vi.waitUntil(() => tested?.elector.state.kind === 'following');
    expect(told).toEqual(expected);
    expect(warned.join('\n')).toMatch(/LEADER_LISTENER_FAILED.*startedLeading/);
    expect(warned.join('\n')).toMatch(/planted/);
    told = [];
    tested.elector.grant();
    await vi.waitUntil(() => told.includes('steppedDown'));
    expect(told).toEqual(expected);
  });

  it('keeps the present term when the hook of a lost one fails, or fails because of the loss', async () => {
    const fails: ((error: unknown) => void)[] = [];
    const terms: LeadershipTerm[] = [];
    @Injectable()
    class Slow {
      @OnStartedLeading({ onError: 'stepDown' })
      started(term: LeadershipTerm): Promise<void> {
        terms.push(term);
        return new Promise((_, reject) => fails.push(reject));
      }
    }
    tested = await applicationOf(Slow);
    tested.elector.grant();
    tested.elector.revoke('deadline');
    tested.elector.grant();
    fails[0]?.(new Error('of the lost term'));
    await vi.waitUntil(() => warned.some((line) => line.includes('rejected')));
    expect(tested.elector.state.kind).toBe('leading');
    tested.elector.revoke('deadline');
    tested.elector.grant();
    fails[1]?.(terms[1]?.signal.reason);
    await new Promise(setImmediate);
    expect(tested.elector.state.kind).toBe('leading');
    fails[2]?.(new Error('of the present term'));
    await vi.waitUntil(() => tested?.elector.state.kind === 'following');
  });

  it('lets a process with enabled: false lead again after the cool-down, and not at once', async () => {
    @Injectable()
    class Failing {
      @OnStartedLeading({ onError: 'stepDown' })
      started(): void {
        told.push('started');
        throw new Error('planted');
      }
    }
    const app = await Test.createTestingModule({
      imports: [LeaderElectionModule.forRoot({ leaseName: 'x', leaseNamespace: 'y', enabled: false })],
      providers: [Failing],
    }).compile();
    await app.init();
    const leader = app.get(LeaderService);
    await vi.waitUntil(() => leader.state.kind === 'following');
    expect([told, warned.some((line) => line.includes('planted'))]).toEqual([['started'], true]);
    await app.close();
  });

  describe('with a lease', () => {
    const replicas = new Replicas();

    it('lets another replica lead', async () => {
      let fail = (): void => undefined;
      @Injectable()
      class Failing {
        @OnStartedLeading({ onError: 'stepDown' })
        started(): Promise<void> {
          return new Promise((_, reject) => {
            fail = () => {
              reject(new Error('planted'));
            };
          });
        }
      }
      const election = { leaseName: 'billing' };
      const first = await replicas.start([election], [Failing]);
      await first.get(LeaderService).whenLeader();
      const second = await replicas.start([election], [Inheriting]);
      fail();
      const { identity } = await second.get(LeaderService).whenLeader();
      expect(replicas.server.leases[0]?.spec.holderIdentity).toBe(identity);
      expect(first.get(LeaderService).isLeader()).toBe(false);
    });
  });

  it('does not let a wrong value pass', () => {
    const decorate = (): unknown => OnStartedLeading({ onError: 'exit' as never });
    expect(decorate).toThrow(
      expect.objectContaining({
        code: 'LEADER_INVALID_OPTIONS',
        message: expect.stringMatching(
          /@OnStartedLeading\(\).*onError is 'exit': it must be 'log' or 'stepDown'/s,
        ),
      }),
    );
  });
});

describe('a shutdown', () => {
  it('waits for @OnStoppedLeading() methods, also when they fail', async () => {
    @Injectable()
    class Tidy {
      @OnStoppedLeading()
      async stopped(): Promise<void> {
        await new Promise((resolve) => {
          setImmediate(resolve);
        });
        told.push('tidied up');
        throw new Error('planted');
      }
    }
    const { app, elector } = await applicationOf(Tidy);
    elector.grant();
    await app.close();
    expect(told).toEqual(['tidied up']);
  });

  it.each([
    ['stopped', /Stuck\.stopped\(\) has not ended 20000 ms after it was called \(drainTimeout\)/],
    ['started', /LEADER_DRAIN_TIMEOUT: 1 gated call/],
  ])('waits no longer than drainTimeout for a hook that never ends: %s', async (hook, said) => {
    const never = new Promise<void>(() => undefined);
    @Injectable()
    class Stuck {
      @OnStartedLeading()
      started(): unknown {
        return hook === 'started' ? never : undefined;
      }

      @OnStoppedLeading()
      stopped(): unknown {
        return hook === 'stopped' ? never : undefined;
      }
    }
    const { app, elector } = await applicationOf(Stuck);
    const time = app.get(SimulatedTime);
    elector.grant();
    const closing = app.close().then(() => told.push('closed'));
    await time.advance(19_999);
    expect([told, warned.filter((line) => said.test(line))]).toEqual([[], []]);
    await time.advance(1);
    await closing;
    expect(warned.filter((line) => said.test(line))).toHaveLength(1);
  });
});

describe('hooks that can never be called', () => {
  it('because the election is missing fail the start with what to import', async () => {
    const compile = Test.createTestingModule({ providers: [Base] }).compile();
    await expect(compile).rejects.toThrow(/@OnStartedLeading\(\) needs the election 'default': import/);
  });

  it('because of their scope cause a warning', async () => {
    @Injectable({ scope: Scope.REQUEST })
    class PerRequest extends Base {}
    tested = await applicationOf(PerRequest);
    expect(warned.join('\n')).toMatch(
      /PerRequest\.started\(\) is a hook for 'startedLeading', and is never called/,
    );
  });
});
