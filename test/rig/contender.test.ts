import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ClientGoContender, clientGoContender } from './contender.js';
import { RealApiServer } from './real-api-server.js';
import { findServers } from './servers.js';

const found = findServers();

if (!found.available) {
  describe('the client-go contender', () => {
    it(`has no API server here: ${found.reason}`, () => {
      expect(found.reason).not.toBe('');
    });
  });
} else {
  describe('the client-go contender', () => {
    let server: RealApiServer;
    let kubeconfig: string;

    beforeAll(async () => {
      await clientGoContender();
      server = await RealApiServer.start();
      kubeconfig = await server.writeKubeconfig();
    });

    afterAll(async () => {
      await server.stop();
    });

    it('leads, releases the lease when it is asked to end, and another follows', async () => {
      const options = { kubeconfig, namespace: 'default', lease: 'contended', leaseDurationMs: 4_000 };
      const timing = { renewDeadlineMs: 3_000, retryPeriodMs: 500 };
      const beforeNs = process.hrtime.bigint();
      const first = await ClientGoContender.start({ ...options, ...timing, identity: 'first' });
      const started = await first.said('started');
      expect(started.monotonicNs).toBeGreaterThan(beforeNs);
      expect(started.monotonicNs).toBeLessThan(process.hrtime.bigint());
      const second = await ClientGoContender.start({ ...options, ...timing, identity: 'second' });
      expect(await second.said('leader')).toMatchObject({ leader: 'first' });
      await first.stop();
      const releasing = await first.said('releasing');
      expect((await first.said('stopped')).monotonicNs).toBeGreaterThan(releasing.monotonicNs);
      expect((await second.said('started')).monotonicNs).toBeGreaterThan(releasing.monotonicNs);
      await second.kill();
      await expect(second.said('stopped')).rejects.toThrow('client-go second did not say "stopped"');
    });
  });
}
