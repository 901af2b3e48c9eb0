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
  UnhandledExceptionBus,
  type ICommandHandler,
  type IEventHandler,
  type IQueryHandler,
} from '@nestjs/cqrs';
import { OnlyWhenLeader, currentTerm } from 'nestjs-leader';
import { expect, it, onTestFinished } from 'vitest';
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
