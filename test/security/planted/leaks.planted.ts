/** Each of these leaks a secret in its own way, so each except the first must fail. Run by canary.test.ts. */
import { spawn } from 'node:child_process';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { Logger } from '@nestjs/common';
import { it } from 'vitest';
import { LeaderError, LeaseRequestError, isLeaderError } from '../../../lib/election/index.js';
import { canary, keepSecret, listenTo } from '../canary.js';

const secret = canary('planted');

async function respond(answer: (response: http.ServerResponse) => void, headers = {}): Promise<void> {
  const server = http.createServer((_request, response) => {
    answer(response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise<void>((resolve) => {
    http.get({ port, headers, agent: false }, (response) => response.resume().on('end', resolve));
  });
  await new Promise((resolve) => server.close(resolve));
}

it('nothing is let out', async () => {
  const error = new LeaseRequestError('LEADER_UNREACHABLE', 'broken', { maybeCommitted: false });
  if (!isLeaderError(error) || !(error instanceof LeaderError)) throw new Error('errors are themselves');
  await respond((response) => response.end('fine'), { authorization: `Bearer ${secret}` });
});
it('standard output', () => {
  process.stdout.write(`${secret}\n`);
});
it('standard error', () => {
  process.stderr.write(Buffer.from(`${secret}\n`));
});
it('the console', () => {
  console.warn({ user: { token: secret } });
});
it("Nest's logger, although it writes nothing", () => {
  Logger.overrideLogger(false);
  new Logger('Planted').warn(`no ${secret}`);
});
it('the message of an error', () => {
  new LeaderError('LEADER_NO_CLUSTER', `no ${secret}`);
});
it('the cause of the cause of an error', () => {
  const file = Object.assign(new Error('ENOENT'), { path: `/etc/${secret}` });
  const cause = new Error('no', { cause: file });
  new LeaseRequestError('LEADER_UNREACHABLE', 'no', { maybeCommitted: false, cause });
});
it('a field of an error', () => {
  const cause = Object.assign(new Error('no'), { spawnargs: ['-t', secret] });
  new LeaseRequestError('LEADER_UNREACHABLE', 'no', { maybeCommitted: false, cause });
});
it('one of several errors', () => {
  const cause = new AggregateError([new Error('no'), new Error(secret)]);
  new LeaseRequestError('LEADER_UNREACHABLE', 'no', { maybeCommitted: false, cause });
});
it('a long log', () => {
  for (let line = 0; line < 30_000; line += 1) console.log(line === 9 ? secret : line);
});
it('the body of a response', async () => {
  await respond((response) => response.end(JSON.stringify({ error: { message: secret } })));
});
it('a header of a response', async () => {
  await respond((response) => response.setHeader('x-leader', secret).end());
});
it('base64', () => {
  console.log(Buffer.from(`{"a":"${secret}"}`).toString('base64'));
});
it('a token that was sent before', async () => {
  await respond((response) => response.end(), { authorization: 'Bearer of-no-special-form' });
  console.log('of-no-special-form');
});
it('a token that was sent after', async () => {
  console.log('of-another-form');
  await respond((response) => response.end(), { authorization: 'Bearer of-another-form' });
});
it('a password', async () => {
  const basic = Buffer.from('me:a-long-password').toString('base64');
  await respond((response) => response.end(), { authorization: `Basic ${basic}` });
  console.log('a-long-password');
});
it('a key', () => {
  const body = Buffer.from('the numbers of the key').toString('base64');
  keepSecret(`-----BEGIN PRIVATE KEY-----\n${body}\n-----END PRIVATE KEY-----\n`);
  console.log(body);
});
it('a child process', async () => {
  const child = listenTo(spawn(process.execPath, ['-e', `console.log(${JSON.stringify(secret)})`]));
  child.stdout.resume();
  await new Promise((resolve) => child.on('close', resolve));
});
