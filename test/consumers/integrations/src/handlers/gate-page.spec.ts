/** The examples of docs/gate.md, and a kind of handler of the application's own. */
import { CacheModule } from '@nestjs/cache-manager';
import { Injectable } from '@nestjs/common';
import { DiscoveryModule, DiscoveryService, MetadataScanner } from '@nestjs/core';
import { OnlyWhenLeader, currentTerm, registerHandlerKind } from 'nestjs-leader';
import { expect, it } from 'vitest';
import { application, listening } from './application.js';
import { NIGHTLY, Nightly } from './nightly.decorator.js';
import { OrdersController } from './orders.controller.js';

it('the guard of the page refuses, and the leader answers', async () => {
  const { url, elector } = await listening({
    imports: [CacheModule.register()],
    controllers: [OrdersController],
  });
  const pay = (id: string): Promise<Response> => fetch(`${url}/orders/${id}`, { method: 'POST' });
  elector.grant({ fencingToken: 12n });
  expect(await (await fetch(`${url}/orders/5`)).json()).toEqual({ id: 5 });
  expect(await (await pay('5')).json()).toEqual({ paid: 5, fencingToken: '12' });
  expect((await pay('none')).status).toBe(400);
  elector.revoke();
  const answers = [await fetch(`${url}/orders/5`), await pay('5'), await pay('none')];
  expect(answers.map(({ status }) => status)).toEqual([503, 503, 503]);
});

/** A package that calls the methods it finds by their metadata, with an argument, as no scheduler does. */
@Injectable()
class NightlyRunner {
  readonly #scanner = new MetadataScanner();

  constructor(private readonly discovery: DiscoveryService) {}

  run(): unknown[] {
    return this.discovery.getProviders().flatMap(({ instance }) => {
      const methods = instance as Record<string, (night: string) => unknown> | null;
      if (typeof methods !== 'object' || methods === null) return [];
      return this.#scanner
        .getAllMethodNames(Object.getPrototypeOf(methods) as object)
        .filter((name) => Reflect.hasMetadata(NIGHTLY, methods[name] as object))
        .map((name) => methods[name]?.('tonight'));
    });
  }
}

@Injectable()
class Jobs {
  @Nightly()
  @OnlyWhenLeader()
  below(night: string): string {
    return `${night} in ${currentTerm().fencingToken}`;
  }

  @OnlyWhenLeader()
  @Nightly()
  above(night: string): string {
    return night;
  }

  @Nightly()
  @OnlyWhenLeader({ kind: 'plain' })
  named(night: string): string {
    return night;
  }
}

it('a kind that is registered is recognised above and below the gate, and a name on the gate goes before it', async () => {
  const { app, elector } = await application({
    imports: [DiscoveryModule],
    providers: [NightlyRunner, Jobs],
  });
  const jobs = app.get(Jobs);
  expect([jobs.below('now'), jobs.above('now')]).toEqual([undefined, undefined]);
  expect(() => jobs.named('now')).toThrow(expect.objectContaining({ code: 'LEADER_NOT_LEADER' }));
  elector.grant({ fencingToken: 3n });
  expect(app.get(NightlyRunner).run()).toEqual(['tonight in 3', 'tonight', 'tonight']);
});

it('a name is taken once', () => {
  expect(() => registerHandlerKind({ kind: 'nightly', onFollower: 'skip', onTermOver: 'ignore' })).toThrow(
    /kind 'nightly' exists already/,
  );
});
