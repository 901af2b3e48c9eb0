/** Handlers of @nestjs/cqrs. */
import { Injectable } from '@nestjs/common';
import {
  CommandBus,
  CommandHandler,
  CqrsModule,
  EventBus,
  EventsHandler,
  QueryBus,
  QueryHandler,
  Saga,
  UnhandledExceptionBus,
  type ICommandHandler,
  ofType,
  type ICommand,
  type IEventHandler,
  type IQueryHandler,
} from '@nestjs/cqrs';
import { OnlyWhenLeader, currentTerm } from 'nestjs-leader';
import { finalize, map, take, type Observable } from 'rxjs';
import { expect, it, onTestFinished, vi } from 'vitest';
import { application } from './application.js';

class Pay {
  constructor(readonly amount: number) {}
}
class Owed {}
class Paid {
  constructor(readonly amount: number) {}
}
class Reminded {
  constructor(readonly goOn: Promise<void>) {}
}

@CommandHandler(Pay)
class PayHandler implements ICommandHandler<Pay> {
  @OnlyWhenLeader()
  async execute({ amount }: Pay): Promise<string> {
    return `${amount} in ${currentTerm().fencingToken}`;
  }
}

@QueryHandler(Owed)
@OnlyWhenLeader()
class OwedHandler implements IQueryHandler<Owed> {
  async execute(): Promise<number> {
    return 7;
  }
}

@Injectable()
class Heard {
  readonly events: string[] = [];
}

@OnlyWhenLeader()
@EventsHandler(Paid)
class Above implements IEventHandler<Paid> {
  constructor(private readonly heard: Heard) {}
  handle({ amount }: Paid): void {
    this.heard.events.push(`above ${amount}`);
  }
}

@EventsHandler(Paid)
@OnlyWhenLeader()
class Below implements IEventHandler<Paid> {
  constructor(private readonly heard: Heard) {}
  handle({ amount }: Paid): void {
    this.heard.events.push(`below ${amount}`);
  }
}

@EventsHandler(Reminded)
class Method implements IEventHandler<Reminded> {
  constructor(private readonly heard: Heard) {}
  @OnlyWhenLeader()
  async handle({ goOn }: Reminded): Promise<void> {
    this.heard.events.push('reminded');
    await goOn;
    currentTerm().throwIfOver();
  }
}

async function started() {
  const { app, ...tested } = await application({
    imports: [CqrsModule.forRoot()],
    providers: [PayHandler, OwedHandler, Above, Below, Method, Heard],
  });
  const unhandled: unknown[] = [];
  const subscription = app.get(UnhandledExceptionBus).subscribe((exception) => unhandled.push(exception));
  onTestFinished(() => subscription.unsubscribe());
  return { ...tested, app, unhandled, heard: app.get(Heard).events };
}

it('commands and queries fail on a follower, and are carried out by the leader', async () => {
  const { app, elector } = await started();
  elector.revoke('superseded', 'the-other');
  const refused = { code: 'LEADER_NOT_LEADER', leader: 'the-other' };
  await expect(app.get(CommandBus).execute(new Pay(5))).rejects.toMatchObject(refused);
  await expect(app.get(QueryBus).execute(new Owed())).rejects.toMatchObject(refused);
  elector.grant({ fencingToken: 4n });
  expect(await app.get(CommandBus).execute(new Pay(5))).toBe('5 in 4');
  expect(await app.get(QueryBus).execute(new Owed())).toBe(7);
});

it('events are handled by the leader only, and nobody is told of an error', async () => {
  const { app, elector, heard, unhandled, errors } = await started();
  await app.get(EventBus).publish(new Paid(1));
  elector.grant();
  await app.get(EventBus).publish(new Paid(2));
  expect(heard.sort()).toEqual(['above 2', 'below 2']);
  expect([unhandled, errors]).toEqual([[], []]);
});

it('the handling of an event that ends with its term is no error', async () => {
  const { app, elector, heard, unhandled, errors } = await started();
  elector.grant();
  let goOn: () => void = () => undefined;
  await app.get(EventBus).publish(new Reminded(new Promise((resolve) => (goOn = resolve))));
  elector.revoke();
  goOn();
  await elector.stepDown();
  await app.close();
  expect([heard, unhandled, errors]).toEqual([['reminded'], [], []]);
});

class Refunded {
  constructor(readonly amount: number) {}
}

@Injectable()
class Sagas {
  readonly running: string[] = [];

  @Saga()
  @OnlyWhenLeader()
  refund(events: Observable<object>): Observable<ICommand> {
    this.running.push(`begun in ${currentTerm().fencingToken}`);
    return events.pipe(
      ofType(Refunded),
      map(({ amount }) => new Pay(amount)),
      finalize(() => this.running.push('ended')),
    );
  }
}

@OnlyWhenLeader()
@Injectable()
class WholeSagas {
  begun = 0;

  @Saga()
  once(events: Observable<object>): Observable<ICommand> {
    this.begun += 1;
    return events.pipe(
      ofType(Refunded),
      take(1),
      map(({ amount }) => new Pay(-amount)),
    );
  }
}

it('a saga runs in each term, once, and rests in between', async () => {
  const paid: number[] = [];
  @CommandHandler(Pay)
  class Recorder implements ICommandHandler<Pay> {
    async execute({ amount }: Pay): Promise<void> {
      paid.push(amount);
    }
  }
  const { app, elector, errors } = await application({
    imports: [CqrsModule.forRoot()],
    providers: [Recorder, Sagas, WholeSagas],
  });
  const [bus, sagas, whole] = [app.get(EventBus), app.get(Sagas), app.get(WholeSagas)];
  bus.publish(new Refunded(1));
  elector.grant({ fencingToken: 1n });
  await vi.waitUntil(() => sagas.running.includes('begun in 1') && whole.begun === 1);
  bus.publish(new Refunded(2));
  bus.publish(new Refunded(3));
  elector.revoke();
  bus.publish(new Refunded(4));
  elector.grant({ fencingToken: 2n });
  await vi.waitUntil(() => sagas.running.includes('begun in 2') && whole.begun === 2);
  bus.publish(new Refunded(5));
  await elector.stepDown();
  expect(paid).toEqual([2, -2, 3, 5, -5]);
  expect(sagas.running).toEqual(['begun in 1', 'ended', 'begun in 2', 'ended']);
  expect([whole.begun, errors]).toEqual([2, []]);
});
