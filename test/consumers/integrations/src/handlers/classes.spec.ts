/** Scopes, inheritance, generics, and methods that are called by hand. */
import {
  Controller,
  Get,
  Inject,
  Injectable,
  Param,
  Scope,
  SetMetadata,
  type OnModuleInit,
} from '@nestjs/common';
import { REQUEST } from '@nestjs/core';
import { OnEvent, EventEmitterModule, EventEmitter2 } from '@nestjs/event-emitter';
import { OnNewLeader, OnStartedLeading, OnlyWhenLeader, currentTerm } from 'nestjs-leader';
import { expect, it } from 'vitest';
import { application, listening } from './application.js';

const Traced = (): MethodDecorator => SetMetadata('traced', true);

it('a request-scoped controller is gated, and so is what it asks', async () => {
  @Injectable({ scope: Scope.REQUEST })
  class PerRequest {
    constructor(@Inject(REQUEST) private readonly request: { url: string }) {}

    @OnlyWhenLeader({ otherwise: () => 'refused' })
    where(): string {
      return `${this.request.url} in ${currentTerm().fencingToken}`;
    }
  }

  @Controller()
  class Routes {
    constructor(private readonly perRequest: PerRequest) {}

    @Get('gated')
    @OnlyWhenLeader()
    gated(): string {
      return this.perRequest.where();
    }

    @Get('asks')
    asks(): string {
      return this.perRequest.where();
    }
  }

  const { url, elector } = await listening({ controllers: [Routes], providers: [PerRequest] });
  const refused = await fetch(`${url}/gated`);
  expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '1']);
  expect(await (await fetch(`${url}/asks`)).text()).toBe('refused');
  elector.grant({ fencingToken: 2n });
  expect(await (await fetch(`${url}/gated`)).text()).toBe('/gated in 2');
});

it('each transient instance is gated', async () => {
  @Injectable({ scope: Scope.TRANSIENT })
  class Transient {
    @OnlyWhenLeader({ otherwise: 'skip' })
    work(): string {
      return 'done';
    }
  }
  @Injectable()
  class Owner {
    constructor(readonly transient: Transient) {}
  }
  @Injectable()
  class Other {
    constructor(readonly transient: Transient) {}
  }
  const { app, elector } = await application({ providers: [Transient, Owner, Other] });
  const both = [app.get(Owner).transient, app.get(Other).transient];
  expect([both[0] === both[1], both.map((one) => one.work())]).toEqual([false, [undefined, undefined]]);
  elector.grant();
  expect(both.map((one) => one.work())).toEqual(['done', 'done']);
});

abstract class Crud<T> {
  protected abstract readonly items: Map<string, T>;

  @Get(':id')
  find(@Param('id') id: string): T | { none: string } {
    return this.items.get(id) ?? { none: id };
  }
}

@OnlyWhenLeader()
@Controller('gated')
class GatedInvoices extends Crud<{ amount: number }> {
  protected readonly items = new Map([['a', { amount: 1 }]]);
}

@Controller('free')
class FreeInvoices extends Crud<{ amount: number }> {
  protected readonly items = new Map([['a', { amount: 2 }]]);
}

@Controller('overridden')
class OverriddenInvoices extends GatedInvoices {
  @Get(':id')
  override find(@Param('id') id: string): { amount: number } | { none: string } {
    return { none: `not ${id}` };
  }

  @Get('by/hand')
  async byHand(): Promise<unknown> {
    return super.find('a');
  }
}

it('a class gates what it inherits from a generic base, and leaves its siblings alone', async () => {
  const { url, elector } = await listening({
    controllers: [GatedInvoices, FreeInvoices, OverriddenInvoices],
  });
  const look = async (path: string): Promise<unknown> => {
    const answer = await fetch(`${url}/${path}`);
    return answer.ok ? answer.json() : answer.status;
  };
  expect([await look('gated/a'), await look('free/a')]).toEqual([503, { amount: 2 }]);
  // An override is a method of its own, without the gate unless it is gated too; what it calls by hand is gated.
  expect([await look('overridden/a'), await look('overridden/by/hand')]).toEqual([{ none: 'not a' }, 503]);
  elector.grant();
  expect([await look('gated/a'), await look('gated/b')]).toEqual([{ amount: 1 }, { none: 'b' }]);
  expect(await look('overridden/by/hand')).toEqual({ amount: 1 });
});

it('on a class, neither the lifecycle nor leadership hooks nor helpers are gated, whatever metadata they carry', async () => {
  @OnlyWhenLeader({ otherwise: 'skip' })
  @Injectable()
  class Relay implements OnModuleInit {
    readonly told: string[] = [];

    @Traced()
    onModuleInit(): void {
      this.told.push('init');
    }

    @Traced()
    @OnNewLeader()
    led(identity: string): void {
      this.told.push(`led by '${identity}'`);
    }

    @Traced()
    @OnStartedLeading()
    leads(): void {
      this.told.push('leads');
    }

    @OnEvent('paid')
    paid(): void {
      this.told.push(this.helper());
    }

    helper(): string {
      return 'paid';
    }
  }
  const { app, elector } = await application({ imports: [EventEmitterModule.forRoot()], providers: [Relay] });
  const paid = (): boolean => app.get(EventEmitter2).emit('paid');
  const relay = app.get(Relay);
  paid();
  expect(relay.helper()).toBe('paid');
  elector.revoke('superseded', 'the-other');
  elector.grant();
  paid();
  expect(relay.told).toEqual(['init', "led by 'the-other'", 'leads', "led by 'me'", 'paid']);
});

it('a handler that is called by hand is gated as well', async () => {
  const { app, elector } = await application({ controllers: [GatedInvoices] });
  const invoices = app.get(GatedInvoices);
  expect(() => invoices.find('a')).toThrow(expect.objectContaining({ status: 503 }));
  elector.grant();
  expect(invoices.find('a')).toEqual({ amount: 1 });
});
