/** Elections of one application share a connection for each source; applications share nothing. */
import { Test } from '@nestjs/testing';
import { expect, it, vi } from 'vitest';
import { KubernetesConnections } from '../../lib/nest/kubernetes-connections.js';
import { ElectionHooksModule } from '../../lib/nest/election-hooks.module.js';

const fake = () => ({ close: vi.fn() });

it('equal sources share one, whatever the order of their keys', () => {
  const connections = new KubernetesConnections();
  const one = connections.share({ server: 'https://a', token: 't' }, fake);
  expect(connections.share({ token: 't', server: 'https://a' }, fake)).toBe(one);
  expect(connections.share({ server: 'https://a', token: 'other' }, fake)).not.toBe(one);
  expect(connections.share({}, fake)).not.toBe(one);
});

it('they are closed when their application has shut down, and not those of another application', async () => {
  const applications = await Promise.all(
    [1, 2].map(async () => {
      const module = await Test.createTestingModule({ imports: [ElectionHooksModule] }).compile();
      await module.init();
      return { module, made: module.get(KubernetesConnections).share({}, fake) };
    }),
  );
  const [one, two] = applications;
  expect(one?.made).not.toBe(two?.made);
  await one?.module.close();
  expect([one?.made.close.mock.calls.length, two?.made.close.mock.calls.length]).toEqual([1, 0]);
  await two?.module.close();
});
