// An application that takes part in the election that ELECTION describes, and says on standard output, a JSON object a line, what
// happens to it. What it logs goes to standard error.
import 'reflect-metadata';
import { NestFactory } from '@nestjs/core';
import { LeaderElectionModule, LeaderService } from 'nestjs-leader';

const election = JSON.parse(process.env.ELECTION);

function say(event, more = {}) {
  const monotonicNs = String(process.hrtime.bigint());
  process.stdout.write(`${JSON.stringify({ event, identity: election.identity, monotonicNs, ...more })}\n`);
}

const app = await NestFactory.createApplicationContext(LeaderElectionModule.forRoot(election), {
  logger: { log: () => undefined, warn: console.error, error: console.error, fatal: console.error },
});
app.enableShutdownHooks();
const leader = app.get(LeaderService);
leader.on('startedLeading', ({ term }) => {
  const token = String(term.fencingToken);
  // Before the lease is given back, which `stoppedLeading` is not.
  term.signal.addEventListener('abort', () => say('stopped', { token }));
  say('started', { token });
});
leader.on('newLeader', ({ identity }) => say('leader', { leader: identity }));
say('ready');
