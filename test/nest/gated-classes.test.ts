/** The gate on classes with handlers of Nest's packages, and nested gates of several elections. */
import { Controller, Get, Injectable, type OnModuleInit } from '@nestjs/common';
import { EventEmitter2, EventEmitterModule, OnEvent } from '@nestjs/event-emitter';
import { Test } from '@nestjs/testing';
import { expect, it } from 'vitest';
import { ScriptedElector } from '../../lib/election/index.js';
import { LeaderService, OnlyWhenLeader, currentTerm, getElectorToken } from '../../lib/index.js';
import { LeaderElectionTestingModule } from '../../lib/testing.js';
import { applicationWith } from './application.js';

it('on a controller and on a listener it gates every handler, and neither hooks nor helpers', async () => {
  @OnlyWhenLeader()
  @Controller()
  class Routes {
    @Get('one')
    one(): string {
      return this.helper();
    }
    @OnlyWhenLeader({ otherwise: () => 'its own answer' })
    @Get('two')
    two(): string {
      return 'two';
    }
    helper(): string {
      return 'one';
    }
  }
  @OnlyWhenLeader()
  @Injectable()
  class Listener implements OnModuleInit {
    readonly heard: string[] = [];
    onModuleInit(): void {
      this.heard.push('init');
    }
    @OnEvent('news')
    news(payload: string): void {
      this.heard.push(payload);
    }
  }
  const { app, elector } = await applicationWith({
    imports: [EventEmitterModule.forRoot()],
    controllers: [Routes],
    providers: [Listener],
  });
  await app.listen(0, '127.0.0.1');
  const url = await app.getUrl();
  const look = async (path: string): Promise<unknown> => {
    const response = await fetch(`${url}/${path}`);
    return [response.status, response.ok ? await response.text() : undefined];
  };
  const emitter = app.get(EventEmitter2);

  expect([await look('one'), await look('two')]).toEqual([
    [503, undefined],
    [200, 'its own answer'],
  ]);
  expect(app.get(Routes).helper()).toBe('one');
  emitter.emit('news', 'missed');
  elector.grant();
  emitter.emit('news', 'heard');
  expect([await look('one'), await look('two')]).toEqual([
    [200, 'one'],
    [200, 'two'],
  ]);
  expect(app.get(Listener).heard).toEqual(['init', 'heard']);
  await app.close();
});

@Injectable()
class Nested {
  @OnlyWhenLeader()
  outer(): Promise<string[]> {
    return this.inner();
  }

  @OnlyWhenLeader({ election: 'billing' })
  async inner(): Promise<string[]> {
    await Promise.resolve();
    return [currentTerm(), currentTerm('billing'), currentTerm('default')].map(({ fencingToken }) =>
      String(fencingToken),
    );
  }
}

it('nested gates of two elections keep both terms, and each election drains its own work', async () => {
  const module = await Test.createTestingModule({
    imports: [
      LeaderElectionTestingModule.forRoot(),
      LeaderElectionTestingModule.forRoot({ name: 'billing' }),
    ],
    providers: [Nested],
  }).compile();
  module.useLogger(false);
  await module.init();
  const main = module.get<ScriptedElector>(getElectorToken());
  const billing = module.get<ScriptedElector>(getElectorToken('billing'));
  const nested = module.get(Nested);
  main.grant({ fencingToken: 1n });
  await expect(nested.outer()).rejects.toMatchObject({ code: 'LEADER_NOT_LEADER', leaseName: 'billing' });
  billing.grant({ fencingToken: 2n });
  expect(await nested.outer()).toEqual(['2', '2', '1']);
  main.revoke();
  await expect(nested.outer()).rejects.toMatchObject({ code: 'LEADER_NOT_LEADER', leaseName: 'default' });
  expect(module.get(LeaderService).isLeader()).toBe(false);
  await module.close();
});
