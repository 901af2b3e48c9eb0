/** A typical NestJS application: Express, shutdown hooks, a leader election. */
import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { LeaderElectionModule, LeaderService } from 'nestjs-leader';
import { choices, identity, kubernetes, lease, namespace, say } from './contender-arguments.js';

@Module({
  imports: [
    LeaderElectionModule.forRoot({
      identity,
      leaseName: lease,
      leaseNamespace: namespace,
      kubernetes,
      ...choices,
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
// Any exception would do; this one comes when the measurement wants it.
process.on('SIGUSR2', () => {
  throw new Error('This crash is part of the measurement.');
});
await app.listen(0, '127.0.0.1');
say('ready');
