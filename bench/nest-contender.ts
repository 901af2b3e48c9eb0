/**
 * A NestJS application that contends for a lease and says on standard output, a JSON object a line, what happens to it
 * and when, by the machine's monotonic clock: our side of the comparison with client-go's contender.
 */
import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { LeaderElectionModule, LeaderService } from 'nestjs-leader';

function environment(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set`);
  return value;
}

const identity = environment('IDENTITY');

@Module({
  imports: [
    LeaderElectionModule.forRoot({
      identity,
      leaseName: environment('LEASE_NAME'),
      leaseNamespace: environment('LEASE_NAMESPACE'),
    }),
  ],
})
class ContenderModule {}

function say(event: string): void {
  const monotonicNs = process.hrtime.bigint().toString();
  process.stdout.write(`${JSON.stringify({ event, identity, monotonicNs })}\n`);
}

const app = await NestFactory.createApplicationContext(ContenderModule, { logger: ['error', 'fatal'] });
app.enableShutdownHooks();
const leader = app.get(LeaderService);
leader.on('startedLeading', () => {
  say('started');
});
leader.on('stoppedLeading', () => {
  say('stopped');
});
leader.on('newLeader', () => {
  say('leader');
});
// A context alone keeps no process alive; an application with a server or a schedule would.
setInterval(() => undefined, 2 ** 30);
say('ready');
