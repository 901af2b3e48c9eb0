/** The option logFields, with nestjs-pino and with Nest's JSON logger. */
import { ConsoleLogger, Module, type LoggerService } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { LeaderElectionModule, LeaderService } from 'nestjs-leader';
import { LeaseApiServer } from 'nestjs-leader/testing';
import { Logger as PinoLogger, LoggerModule } from 'nestjs-pino';
import { Writable } from 'node:stream';
import { expect, it, onTestFinished, vi } from 'vitest';

/** What is logged while a process leads once and hands over. */
async function logged(
  logFields: string,
  imports: NonNullable<Parameters<typeof Module>[0]['imports']>,
  loggerOf: (get: <T>(type: new (...args: never[]) => T) => T) => LoggerService,
): Promise<void> {
  const server = await LeaseApiServer.start();
  onTestFinished(() => server.stop());
  const election = LeaderElectionModule.forRoot({
    leaseName: 'billing',
    leaseNamespace: 'default',
    identity: 'pod-1',
    kubernetes: { server: server.url },
    logFields,
  });
  const module = await Test.createTestingModule({ imports: [...imports, election] }).compile();
  const app = module.createNestApplication({ bufferLogs: true });
  app.useLogger(loggerOf((type) => app.get(type)));
  await app.init();
  await app.get(LeaderService).whenLeader();
  await app.close();
}

it('nestjs-pino has the facts as fields, and the sentence as msg', async () => {
  const lines: Record<string, unknown>[] = [];
  const stream = new Writable({
    write: (chunk: Buffer, _, done) => {
      lines.push(JSON.parse(chunk.toString()) as Record<string, unknown>);
      done();
    },
  });
  await logged('msg', [LoggerModule.forRoot({ pinoHttp: [{}, stream] })], (get) => get(PinoLogger));
  const ours = lines.filter(({ context }) => context === 'LeaderElection');
  expect(ours).toContainEqual(
    expect.objectContaining({
      msg: expect.stringMatching(/^Leading 'billing' as pod-1, fencing token \d+$/),
      lease: 'billing',
      election: 'default',
      identity: 'pod-1',
      event: 'startedLeading',
      fencingToken: expect.stringMatching(/^\d+$/),
    }),
  );
  expect(ours).toContainEqual(
    expect.objectContaining({
      msg: "Handed over 'billing' as pod-1: stopped",
      event: 'stoppedLeading',
      reason: 'stopped',
    }),
  );
});

it("Nest's JSON logger has them in its message", async () => {
  const written: string[] = [];
  const spy = vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    written.push(String(text));
    return true;
  });
  await logged('message', [], () => new ConsoleLogger({ json: true, colors: false, compact: true })).finally(
    () => {
      spy.mockRestore();
    },
  );
  const messages = written
    .filter((text) => text.startsWith('{'))
    .map((text) => (JSON.parse(text) as { message: unknown }).message);
  expect(messages).toContainEqual(
    expect.objectContaining({
      message: "Handed over 'billing' as pod-1: stopped",
      lease: 'billing',
      event: 'stoppedLeading',
    }),
  );
});
