/** One replica of a real application, in a process of its own. */
import 'reflect-metadata';
import { EventEmitter, once } from 'node:events';
import {
  ConsoleLogger,
  Controller,
  Get,
  Injectable,
  Module,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { EventEmitter2, EventEmitterModule } from '@nestjs/event-emitter';
import { Interval, ScheduleModule } from '@nestjs/schedule';
import { TerminusModule } from '@nestjs/terminus';
import {
  LeaderElectionModule,
  LeaderService,
  OnlyWhenLeader,
  isLeaderError,
  isTermOver,
} from 'nestjs-leader';
import { LongWork } from './long-work.js';
import { DatabaseModule, RootService, setup } from './modules-that-stop.js';
import { tell, type Order } from './setup.js';

/** Each line of the log as a line of the report. */
class ToldLog extends ConsoleLogger {
  override log(message: unknown): void {
    tell('log', { level: 'log', message: String(message) });
  }
  override warn(message: unknown): void {
    tell('log', { level: 'warn', message: String(message) });
  }
  override error(message: unknown): void {
    tell('log', { level: 'error', message: String(message) });
  }
}

@Controller()
class Routes {
  /** Never answers. */
  @Get('hang')
  hang(): Promise<never> {
    tell('asked', { path: '/hang' });
    return new Promise(() => undefined);
  }

  /** Never answers, whatever its term does. */
  @Get('gated')
  @OnlyWhenLeader()
  gated(): Promise<never> {
    tell('asked', { path: '/gated' });
    return new Promise(() => undefined);
  }
}

class Reporter implements OnApplicationBootstrap {
  readonly #giveUp = new AbortController();

  constructor(
    private readonly leader: LeaderService,
    private readonly events: EventEmitter2,
    private readonly orders: EventEmitter,
  ) {}

  onApplicationBootstrap(): void {
    this.leader.on('startedLeading', ({ term }) => {
      tell('startedLeading', { token: term.fencingToken.toString() });
    });
    this.leader.on('stoppedLeading', ({ reason }) => {
      tell('stoppedLeading', { reason });
    });
    this.leader.on('newLeader', ({ identity }) => {
      tell('newLeader', { identity });
    });
    this.leader.on('stateChanged', ({ state }) => {
      tell('state', {
        kind: state.kind,
        ...('stillRunning' in state ? { stillRunning: state.stillRunning } : {}),
      });
    });
  }

  obey(order: Exclude<Order, { do: 'close' }>): void {
    switch (order.do) {
      case 'work':
        void this.events.emitAsync('work', order.kind);
        return;
      case 'finish':
        this.orders.emit('finish');
        return;
      case 'stepDown':
        void this.leader.stepDown({ cooldown: order.cooldown }).then(() => {
          tell('steppedDown');
        });
        return;
      case 'whenLeader':
        void settled('whenLeader', this.leader.whenLeader());
        return;
      case 'runAsLeader':
        void settled('runAsLeader', this.#run(order.ends));
        return;
      case 'giveUp':
        this.#giveUp.abort(new Error('given up'));
    }
  }

  #run(ends: 'value' | 'error' | 'term'): Promise<string> {
    return this.leader.runAsLeader(
      async (term) => {
        tell('task', { token: term.fencingToken.toString() });
        if (ends === 'term') await once(this.orders, 'finish', { signal: term.signal });
        else await once(this.orders, 'finish');
        if (ends === 'error') throw new Error('an error of its own');
        return 'the result';
      },
      { signal: this.#giveUp.signal },
    );
  }
}

async function settled(what: string, promise: Promise<unknown>): Promise<void> {
  try {
    tell(what, { value: await promise });
  } catch (error) {
    const facts = isLeaderError(error) ? { code: error.code } : {};
    tell(what, { error: (error as Error).message, ...facts, ...(isTermOver(error) && { isTermOver: true }) });
  }
}

@Injectable()
class Ticks {
  @Interval(20)
  @OnlyWhenLeader()
  tick(): void {
    tell('tick');
  }
}

@Module({
  imports: [
    EventEmitterModule.forRoot(),
    ScheduleModule.forRoot(),
    TerminusModule.forRoot({ gracefulShutdownTimeoutMs: setup.terminusTimeoutMs ?? 0 }),
    DatabaseModule,
    LeaderElectionModule.forRoot(setup.election),
  ],
  controllers: [Routes],
  providers: [
    RootService,
    LongWork,
    Ticks,
    {
      provide: Reporter,
      inject: [LeaderService, EventEmitter2, LongWork],
      useFactory: (leader: LeaderService, events: EventEmitter2, work: LongWork) =>
        new Reporter(leader, events, work.orders),
    },
  ],
})
class ReplicaModule {}

const app = await NestFactory.create(ReplicaModule, { logger: new ToldLog() });
process.on('message', (order: Order) => {
  if (order.do === 'close')
    void app.close().then(() => {
      tell('closed');
    });
  else app.get(Reporter).obey(order);
});
// The spec has gone: so must its replicas.
process.on('disconnect', () => process.exit(2));
await app.listen(0, '127.0.0.1');
if (setup.shutdownHooks) app.enableShutdownHooks();
tell('listening', { url: await app.getUrl() });
