/** The identities of others are escaped and cut wherever people see them. */
import { Controller, Get, Logger } from '@nestjs/common';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { NotLeaderError, readable, resolveElectionOptions } from '../../lib/election/index.js';
import { LeaderHealthIndicator, OnlyWhenLeader } from '../../lib/index.js';
import { applicationWith } from '../nest/application.js';

const hostile: [string, string][] = [
  ['a line feed', 'they\n[Nest] 1 - LOG [LeaderElection] Leading'],
  ['a carriage return', 'they\rme'],
  ['an escape sequence', '\u001b[2J\u001b]0;owned\u0007they'],
  ['a C1 control', 'they\u009b2J'],
  ['NUL', 'they\0'],
  ['a change of the writing direction', 'they\u202eem'],
  ['a line separator', 'they\u2028me'],
  ['characters without width', 'th\u200bey\ufeff'],
  ['half a character', 'they\ud83e'],
  ['tags', 'they\u{e0041}'],
  ['a megabyte', 'x'.repeat(1024 * 1024)],
  ['a megabyte of controls', '\n'.repeat(1024 * 1024)],
];

/** Checks that a text is short and contains no control or invisible characters. */
function expectReadable(text: string): void {
  expect(text).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u);
  expect(text.length).toBeLessThan(500);
}

describe('a foreign text', () => {
  it.each(hostile)('with %s is escaped and cut', (_name, text) => {
    expectReadable(readable(text));
    expect(readable(readable(text))).toBe(readable(text));
    expectReadable(new NotLeaderError('billing', text).message);
  });
});

describe('an identity of ours', () => {
  it.each(hostile)('with %s is refused', (_name, identity) => {
    const resolve = (): unknown =>
      resolveElectionOptions({ leaseName: 'x', identity }, { leaseNamespace: 'y', identity: 'z' });
    expect(resolve).toThrow(/identity is [^\n]{1,200}: it must be a non-empty string of at most 300/);
  });

  it.each(['billing-1_0b7e', 'Zoë 🦊', 'x'.repeat(300)])(
    'of readable characters is accepted (%#)',
    (identity) => {
      const environment = { leaseNamespace: 'y', identity: 'z' };
      expect(resolveElectionOptions({ leaseName: 'x', identity }, environment).identity).toBe(identity);
    },
  );
});

describe('a leader as an application shows it', () => {
  const lines: string[] = [];

  beforeEach(() => {
    lines.length = 0;
    for (const level of ['log', 'warn', 'error'] as const)
      vi.spyOn(Logger.prototype, level).mockImplementation((...parts: unknown[]) => {
        lines.push(parts.map(String).join(' '));
      });
  });

  afterEach(() => {
    vi.restoreAllMocks();
  });

  @Controller()
  class Routes {
    constructor(private readonly health: LeaderHealthIndicator) {}

    @Get('health')
    look(): unknown {
      return this.health.isHealthy();
    }

    @Get('work')
    @OnlyWhenLeader()
    work(): string {
      return 'done';
    }
  }

  it.each(hostile)(
    'with %s in its identity is shown escaped in log, health and the 503',
    async (_name, identity) => {
      const { app, elector } = await applicationWith({
        controllers: [Routes],
        providers: [LeaderHealthIndicator],
      });
      await app.listen(0, '127.0.0.1');
      const url = await app.getUrl();
      elector.revoke('superseded', identity);
      const health = (await (await fetch(`${url}/health`)).json()) as { leader: { leader: string } };
      expect(health.leader.leader).toBe(readable(identity));
      const refused = await fetch(`${url}/work`);
      expect(refused.status).toBe(503);
      const body = (await refused.json()) as { leader: string; message: string };
      expect(body.leader).toBe(readable(identity));
      expectReadable(body.message);
      expect(lines.some((line) => line.includes('is led by'))).toBe(true);
      for (const line of lines) expectReadable(line);
      await app.close();
    },
  );
});
