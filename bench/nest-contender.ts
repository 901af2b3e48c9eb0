/** A typical NestJS application: Express, shutdown hooks, a leader election. */
import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { LeaderElectionModule, LeaderService } from 'nestjs-leader';
import { identity, kubernetes, lease, namespace, say, takeover } from './contender-arguments.js';

@Module({
  imports: [
    LeaderElectionModule.forRoot({
      identity,
      leaseName: lease,
      leaseNamespace: namespace,
      kubernetes,
      takeover,
    }),
  ],
})
class ContenderModule {}

const app = await NestFactory.create(ContenderModule, { logger: ['error', 'fatal'] });
app.enableShutdownHooks();
const leader = app.get(LeaderService);
leader.on('startedLeading', () => {
  say('started', { lease });
});
leader.on('stoppedLeading', () => {
  say('stopped', { lease });
});
leader.on('newLeader', ({ identity }) => {
  say('leader', { lease, leader: identity });
});
await app.listen(0, '127.0.0.1');
say('ready');
