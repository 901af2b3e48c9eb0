/** A replica with many elections, which prints when a term of one of them begins and ends. */
import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { LeaderElectionModule, getLeaderToken, type LeaderService } from 'nestjs-leader';

const [namespace = '', elections = '', spread = ''] = process.argv.slice(2);
const names = Array.from({ length: Number(elections) }, (_, index) => `${spread}-${String(index)}`);

@Module({})
class Replica {}

const app = await NestFactory.createApplicationContext(
  {
    module: Replica,
    imports: names.map((name) =>
      LeaderElectionModule.forRoot({
        name,
        leaseName: name,
        leaseNamespace: namespace,
        spread: spread === 'shared',
      }),
    ),
  },
  { logger: ['error', 'fatal'] },
);
app.enableShutdownHooks();

function say(event: 'started' | 'stopped', election: string): void {
  const at = Number(process.hrtime.bigint()) / 1e6;
  process.stdout.write(`${JSON.stringify({ event, election, at })}\n`);
}

for (const name of names) {
  const leader = app.get<LeaderService>(getLeaderToken(name));
  if (leader.isLeader()) say('started', name);
  leader.on('startedLeading', () => {
    say('started', name);
  });
  leader.on('stoppedLeading', () => {
    say('stopped', name);
  });
}
setInterval(() => undefined, 2 ** 30);
