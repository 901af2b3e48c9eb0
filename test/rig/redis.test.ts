import { connect } from 'node:net';
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { findRedis } from './redis.js';

describe('a Redis for tests', () => {
  it('is the one of REDIS_URL, which is left running', async () => {
    const found = findRedis({ REDIS_URL: 'redis://elsewhere:6379', PATH: '/nowhere' });
    if (!found.available) throw new Error(found.reason);
    const redis = await found.start();
    expect(redis.url).toBe('redis://elsewhere:6379');
    await redis.stop();
  });

  it('may be missing: with a clear reason, and as an error if it is required', () => {
    expect(findRedis({ PATH: '/nowhere' })).toMatchObject({
      available: false,
      reason: expect.stringContaining('no redis-server on the PATH'),
    });
    expect(() => findRedis({ PATH: '/nowhere', REQUIRE_REDIS: '1' })).toThrow(
      'A Redis is required (REQUIRE_REDIS), but REDIS_URL is not set',
    );
  });
});

const found = findRedis({ PATH: process.env['PATH'], REQUIRE_REDIS: process.env['REQUIRE_REDIS'] });

it(
  found.available ? 'a redis-server of the rig answers, and ends' : `is not here: ${found.reason}`,
  async () => {
    if (!found.available) return;
    const redis = await found.start();
    const socket = connect(Number(new URL(redis.url).port), '127.0.0.1');
    socket.write('PING\r\n');
    expect(String((await once(socket, 'data'))[0])).toBe('+PONG\r\n');
    const closed = once(socket, 'close');
    await redis.stop();
    await closed;
  },
);
