/** Listeners of @nestjs/event-emitter. */
import { Injectable } from '@nestjs/common';
import { EventEmitter2, EventEmitterModule, OnEvent } from '@nestjs/event-emitter';
import { OnlyWhenLeader, currentTerm } from 'nestjs-leader';
import { expect, it } from 'vitest';
import { application } from './application.js';

@Injectable()
class Listener {
  readonly heard: string[] = [];
  goOn: () => void = () => undefined;

  @OnEvent('paid')
  @OnlyWhenLeader()
  above(amount: number): void {
    this.heard.push(`above ${amount}`);
  }

  @OnlyWhenLeader()
  @OnEvent('paid')
  async below(amount: number): Promise<void> {
    this.heard.push(`below ${amount}`);
  }

  @OnlyWhenLeader({ otherwise: ({ args }) => `refused ${args.join()}` })
  @OnEvent('asked')
  asked(_amount: number): string {
    return 'answered';
  }

  @OnlyWhenLeader()
  @OnEvent('slow')
  async slow(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.goOn = resolve;
    });
    currentTerm().throwIfOver();
  }
}

@OnlyWhenLeader()
@Injectable()
class Whole {
  readonly heard: number[] = [];

  @OnEvent('paid')
  paid(amount: number): void {
    this.heard.push(amount);
  }
}

it('are skipped while following, called while leading', async () => {
  const { app, elector, errors } = await application({
    imports: [EventEmitterModule.forRoot()],
    providers: [Listener, Whole],
  });
  const emitter = app.get(EventEmitter2);
  await emitter.emitAsync('paid', 1);
  expect(app.get(Listener).asked(1)).toBe('refused 1');
  elector.grant();
  await emitter.emitAsync('paid', 2);
  expect(app.get(Listener).heard.sort()).toEqual(['above 2', 'below 2']);
  expect([app.get(Whole).heard, errors]).toEqual([[2], []]);
});

it('what ends with its term is not logged', async () => {
  const { app, elector, errors } = await application({
    imports: [EventEmitterModule.forRoot()],
    providers: [Listener],
  });
  elector.grant();
  const told = app.get(EventEmitter2).emitAsync('slow');
  elector.revoke();
  app.get(Listener).goOn();
  await told;
  expect(errors).toEqual([]);
});
