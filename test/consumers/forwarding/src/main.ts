/** A replica that takes payments, as docs/recipes/to-the-leader.md has it. */
import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { APP_FILTER, NestFactory } from '@nestjs/core';
import { LeaderElectionModule, LeaderService } from 'nestjs-leader';
import { Database } from './database.js';
import { LeaderProxyFilter } from './leader-proxy.filter.js';
import { LeaderRedirectFilter } from './leader-redirect.filter.js';
import { Payments } from './payments.controller.js';

const port = Number(process.env['PORT']);

@Module({
  imports: [
    LeaderElectionModule.forRoot({
      leaseName: process.env['LEASE'] ?? '',
      leaseNamespace: 'default',
      advertise: `http://127.0.0.1:${port}`,
      leaseDuration: 3_000,
      renewDeadline: 2_000,
      retryPeriod: 500,
    }),
  ],
  controllers: [Payments],
  providers: [
    Database,
    {
      provide: APP_FILTER,
      useClass: process.env['FORWARD'] === 'redirect' ? LeaderRedirectFilter : LeaderProxyFilter,
    },
  ],
})
class AppModule {}

const app = await NestFactory.create(AppModule, { rawBody: true, logger: ['error', 'warn'] });
app.enableShutdownHooks();
const leader = app.get(LeaderService);
leader.on('startedLeading', () => process.send?.({ type: 'leads' }));
process.on('message', (order) => {
  if (order === 'step down') void leader.stepDown();
});
await app.listen(port, '127.0.0.1');
process.send?.({ type: 'listens' });
