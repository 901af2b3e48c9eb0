/** Election events through @nestjs/event-emitter, where an application has it. */
import { Injectable, Logger } from '@nestjs/common';
import { EventEmitter2, EventEmitterModule, OnEvent } from '@nestjs/event-emitter';
import { Test, type TestingModule } from '@nestjs/testing';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import {
  LeaderEvents,
  getElectorToken,
  type LeaderChangedEvent,
  type LeaderFailedEvent,
  type LeaderStartedEvent,
  type LeaderStoppedEvent,
} from '../../lib/index.js';
import { LeaderElectionTestingModule, type ScriptedElector } from '../../lib/testing.js';

let heard: unknown[] = [];
let module: TestingModule;
beforeEach(() => {
  heard = [];
  for (const level of ['warn', 'error'] as const)
    vi.spyOn(Logger.prototype, level).mockReturnValue(undefined);
});
afterEach(() => {
  vi.restoreAllMocks();
});

@Injectable()
class Audit {
  @OnEvent(LeaderEvents.started)
  started({ election, term, identity }: LeaderStartedEvent): void {
    heard.push(['started', election, identity, term.fencingToken]);
  }

  @OnEvent(LeaderEvents.stopped)
  stopped({ election, term, reason }: LeaderStoppedEvent): void {
    heard.push(['stopped', election, reason, term.isOver]);
  }

  @OnEvent(LeaderEvents.changed)
  changed({ election, leader }: LeaderChangedEvent): void {
    heard.push(['changed', election, leader]);
  }

  @OnEvent(LeaderEvents.failed)
  failed({ error }: LeaderFailedEvent): void {
    heard.push(['failed', error.code, error.cause]);
  }
}

async function start(
  emitter: Parameters<typeof EventEmitterModule.forRoot>[0] = {},
  ...providers: (new () => object)[]
) {
  module = await Test.createTestingModule({
    imports: [
      EventEmitterModule.forRoot(emitter),
      LeaderElectionTestingModule.forRoot(),
      LeaderElectionTestingModule.forRoot({ name: 'billing', startAs: 'leader' }),
    ],
    providers,
  }).compile();
  await module.init();
  const of = (election?: string) => module.get<ScriptedElector>(getElectorToken(election));
  return { elector: of(), billing: of('billing') };
}

it('every election emits its events, from the first to the last, with its name', async () => {
  const { elector } = await start({}, Audit);
  elector.revoke('superseded', 'other');
  elector.grant({ fencingToken: 7n });
  await module.close();
  expect(heard.filter((event) => (event as unknown[])[1] === 'billing')).toEqual([
    ['started', 'billing', 'me', 1n],
    ['changed', 'billing', 'me'],
    ['stopped', 'billing', 'stopped', true],
  ]);
  expect(heard.filter((event) => (event as unknown[])[1] === 'default')).toEqual([
    ['changed', 'default', 'other'],
    ['started', 'default', 'me', 7n],
    ['changed', 'default', 'me'],
    ['stopped', 'default', 'stopped', true],
  ]);
});

it('a wildcard listener gets them all', async () => {
  @Injectable()
  class All {
    @OnEvent('leader.*')
    hear(event: { election: string }): void {
      heard.push(event.election);
    }
  }
  await start({ wildcard: true }, All);
  expect(heard).toEqual(['billing', 'billing']);
  await module.close();
});

it('a listener that throws or rejects is reported, and ends neither the process nor the term', async () => {
  @Injectable()
  class Failing {
    @OnEvent(LeaderEvents.started, { suppressErrors: false })
    async rejects(): Promise<void> {
      await Promise.reject(new Error('rejected'));
    }
  }
  const { elector } = await start({}, Failing, Audit);
  await vi.waitUntil(() => heard.length === 3);
  module.get(EventEmitter2).on(LeaderEvents.stopped, () => {
    throw new Error('thrown');
  });
  elector.grant();
  elector.revoke();
  await vi.waitUntil(() => heard.filter((event) => (event as unknown[])[0] === 'failed').length === 3);
  expect(heard.filter((event) => (event as unknown[])[0] === 'failed')).toEqual([
    ['failed', 'LEADER_LISTENER_FAILED', new Error('rejected')],
    expect.arrayContaining(['failed', 'LEADER_LISTENER_FAILED']),
    expect.arrayContaining(['failed', 'LEADER_LISTENER_FAILED']),
  ]);
  expect(elector.state.kind).toBe('following');
  await module.close();
});

it('an emitter that is not that of the package gets no events', async () => {
  const emitter = { emitAsync: vi.fn() };
  module = await Test.createTestingModule({
    imports: [LeaderElectionTestingModule.forRoot({ startAs: 'leader' })],
    providers: [{ provide: 'EventEmitter2', useValue: emitter }],
  }).compile();
  await module.init();
  expect(emitter.emitAsync).not.toHaveBeenCalled();
  await module.close();
});
