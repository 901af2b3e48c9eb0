/**
 * The cost of a call: `isLeader()`, and the gate around a method, in a process that uses AsyncLocalStorage, with the real clocks.
 * Beside it, what no gate can do without: both clocks are read, the method runs in `AsyncLocalStorage.run()`, and the end of
 * its promise is noted.
 */
import 'reflect-metadata';
import { AsyncLocalStorage } from 'node:async_hooks';
import { Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { LeaderElectionModule, LeaderService, OnlyWhenLeader } from 'nestjs-leader';

/** Short rounds, so that some are not disturbed. */
const CALLS = 20_000;
const ROUNDS = 100;

/** Each kind of method, bare and gated. */
@Injectable()
class Work {
  count = 0;

  bare(): void {
    this.count += 1;
  }

  @OnlyWhenLeader()
  gated(): void {
    this.count += 1;
  }

  async bareAsync(): Promise<void> {
    this.count += 1;
    await Promise.resolve();
  }

  @OnlyWhenLeader()
  async gatedAsync(): Promise<void> {
    this.count += 1;
    await Promise.resolve();
  }
}

@Module({
  // Leads always; its clock is the system's.
  imports: [LeaderElectionModule.forRoot({ leaseName: 'calls', leaseNamespace: 'bench', enabled: false })],
  providers: [Work],
})
class CallsModule {}

/** Nanoseconds per call in the fastest of several rounds, which was disturbed least. */
async function cost(call: () => unknown): Promise<number> {
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS; round += 1) {
    const from = process.hrtime.bigint();
    for (let calls = 0; calls < CALLS; calls += 1) {
      const result = call();
      if (result instanceof Promise) await result;
    }
    best = Math.min(best, Number(process.hrtime.bigint() - from) / CALLS);
  }
  return best;
}

/** The figures, in nanoseconds per call. */
export async function measureCalls(): Promise<Record<string, number>> {
  const app = await NestFactory.createApplicationContext(CallsModule, { logger: false });
  const leader = app.get(LeaderService);
  const work = app.get(Work);
  await leader.whenLeader();
  const storage = new AsyncLocalStorage<object>();
  const limit = <T>(call: () => T): T => {
    performance.now();
    Date.now();
    return storage.run(work, call);
  };
  const figures = await new AsyncLocalStorage<number>().run(1, async () => {
    // currentTerm() follows async calls from the first gate on, gated or not: all sides are measured after that.
    await work.gatedAsync();
    await limit(() => work.bareAsync());
    const bare = await cost(() => {
      work.bare();
    });
    const bareAsync = await cost(() => work.bareAsync());
    return {
      isLeader: await cost(() => leader.isLeader()),
      'gate around a sync call':
        (await cost(() => {
          work.gated();
        })) - bare,
      'the limit around a sync call':
        (await cost(() => {
          limit(() => {
            work.bare();
          });
        })) - bare,
      'gate around an async call': (await cost(() => work.gatedAsync())) - bareAsync,
      'the limit around an async call':
        (await cost(() => limit(() => work.bareAsync()).then((result) => result))) - bareAsync,
    };
  });
  await app.close();
  return figures;
}
