/** What an application answers of its leadership when Nest, or the application, makes plain objects of it first. */
import { ClassSerializerInterceptor, Controller, Get, Sse } from '@nestjs/common';
import { APP_INTERCEPTOR } from '@nestjs/core';
import { instanceToPlain } from 'class-transformer';
import { LeaderService, OnlyWhenLeader, currentTerm } from 'nestjs-leader';
import { runInFakeTerm } from 'nestjs-leader/testing';
import { of } from 'rxjs';
import { expect, it } from 'vitest';
import { LeaderController } from './docs/leader.controller.js';
import { adapters, listening } from './handlers/application.js';

@Controller('raw')
class Raw {
  constructor(private readonly leader: LeaderService) {}

  @Get('term')
  term() {
    return this.leader.term;
  }

  @Get('state')
  state() {
    return this.leader.state;
  }

  @Get('several')
  several() {
    return [this.leader.state, { nested: { term: this.leader.term } }];
  }

  @Get('gated')
  @OnlyWhenLeader()
  gated() {
    return { term: currentTerm() };
  }

  @Sse('stream')
  stream() {
    return of({ data: { term: this.leader.term } });
  }
}

it.each(adapters)('answers 200 under a global ClassSerializerInterceptor, on %s', async (_name, adapter) => {
  const { url, elector, errors } = await listening(
    {
      controllers: [Raw, LeaderController],
      providers: [{ provide: APP_INTERCEPTOR, useClass: ClassSerializerInterceptor }],
    },
    adapter(),
  );
  const answer = async (path: string): Promise<unknown> => {
    const response = await fetch(`${url}/${path}`);
    const text = await response.text();
    return [response.status, text === '' ? text : JSON.parse(text)];
  };
  expect(await answer('raw/state')).toMatchObject([200, { kind: 'following' }]);
  elector.grant({ fencingToken: 81_423n });
  const term = { leaseName: 'default', identity: 'me', slot: 0, startedAt: expect.any(Number) };
  expect(await answer('leader')).toMatchObject([
    200,
    {
      identity: 'me',
      isLeader: true,
      leader: 'me',
      term: { leaseName: 'default', fencingToken: '81423', isOver: false },
    },
  ]);
  expect(await answer('raw/term')).toMatchObject([200, term]);
  expect(await answer('raw/state')).toMatchObject([200, { kind: 'leading', term }]);
  expect(await answer('raw/several')).toMatchObject([200, [{ kind: 'leading', term }, { nested: { term } }]]);
  expect(await answer('raw/gated')).toMatchObject([200, { term }]);
  const stream = await fetch(`${url}/raw/stream`);
  expect(await stream.text()).toContain('"leaseName":"default"');
  const leave = elector.state.kind === 'leading' ? elector.state.term.enter() : undefined;
  const handingOver = elector.stepDown();
  expect(await answer('raw/state')).toMatchObject([
    200,
    { kind: 'handingOver', reason: 'steppedDown', term },
  ]);
  leave?.();
  await handingOver;
  expect(errors).toEqual([]);
});

it('holds nothing that JSON cannot hold, with class-transformer and without', () => {
  runInFakeTerm({ fencingToken: 2n ** 70n }, ({ term }) => {
    expect(JSON.parse(JSON.stringify({ term }))).toMatchObject({ term: { fencingToken: String(2n ** 70n) } });
    for (const plain of [instanceToPlain(term), instanceToPlain({ kind: 'leading', term }), { ...term }])
      expect(() => JSON.stringify(plain)).not.toThrow();
    expect(instanceToPlain(term)).toMatchObject({ leaseName: 'default', identity: 'fake' });
  });
});
