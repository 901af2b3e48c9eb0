/** The API server stops answering while its connections stay open: the worst failure of a network. */
import type { INestApplicationContext } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LeaderElectionModule, LeaderService } from '../../lib/index.js';
import { RealApiServer } from '../rig/real-api-server.js';
import { findServers } from '../rig/servers.js';

const LEASE_DURATION = 6_000;
const found = findServers();

interface Term {
  readonly identity: string;
  readonly token: bigint;
  readonly from: number;
  until: number;
}

if (!found.available) {
  describe('a frozen API server', () => {
    it(`is not tested here: ${found.reason}`, () => {
      expect(found.reason).not.toBe('');
    });
  });
} else {
  describe('a frozen API server', () => {
    let server: RealApiServer;
    const apps: INestApplicationContext[] = [];
    const terms: Term[] = [];

    const start = async (identity: string): Promise<void> => {
      const app = await NestFactory.createApplicationContext(
        LeaderElectionModule.forRoot({
          identity,
          leaseName: 'frozen',
          leaseNamespace: 'default',
          leaseDuration: LEASE_DURATION,
          renewDeadline: 4_000,
          retryPeriod: 1_000,
          kubernetes: { server: server.url, token: 'admin-token', certificateAuthority: server.ca },
        }),
        { logger: false },
      );
      apps.push(app);
      app.get(LeaderService).on('startedLeading', ({ term }) => {
        const noted = {
          identity,
          token: term.fencingToken,
          from: performance.now(),
          until: Number.POSITIVE_INFINITY,
        };
        terms.push(noted);
        term.signal.addEventListener('abort', () => {
          noted.until = performance.now();
        });
      });
    };
    const leaders = (): LeaderService[] =>
      apps.map((app) => app.get(LeaderService)).filter((leader) => leader.isLeader());
    const nextTerm = (): Promise<void> =>
      Promise.race(
        apps.map(
          (app) =>
            new Promise<void>((resolve) => {
              app.get(LeaderService).on('startedLeading', () => {
                resolve();
              });
            }),
        ),
      );

    beforeAll(async () => {
      server = await RealApiServer.start();
      await Promise.all(['one', 'two', 'three'].map(start));
      await Promise.race(apps.map((app) => app.get(LeaderService).whenLeader()));
    });

    afterAll(async () => {
      server.thaw();
      await Promise.all(apps.map((app) => app.close()));
      await server.stop();
    });

    it('the leader stops before its lease expires, nobody else leads, and all recover afterwards', async () => {
      const [leader] = leaders();
      const term = leader?.term;
      if (leader === undefined || term === undefined) throw new Error('nobody leads');
      server.freeze();
      const stopped = new Promise<number>((resolve) => {
        term.signal.addEventListener('abort', () => {
          resolve(Date.now());
        });
      });
      const stoppedAt = await stopped;
      expect(leader.isLeader()).toBe(false);
      expect(term.signal.reason).toMatchObject({ code: 'LEADER_TERM_OVER', reason: 'deadline' });
      // For the others the lease expires when its duration has passed since the last renewal.
      expect(stoppedAt).toBeLessThan(term.renewedAt + LEASE_DURATION);
      expect(leaders()).toEqual([]);
      const healed = nextTerm();
      server.thaw();
      await healed;
      expect(leaders()).toHaveLength(1);
      expect(terms.at(-1)?.token).toBeGreaterThan(term.fencingToken);
    });

    it('no two terms overlapped', () => {
      const inOrder = [...terms].sort((a, b) => a.from - b.from);
      for (const [index, term] of inOrder.slice(1).entries()) {
        expect(term.from).toBeGreaterThanOrEqual(Number(inOrder[index]?.until));
      }
    });
  });
}
