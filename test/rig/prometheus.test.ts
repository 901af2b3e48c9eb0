import { describe, expect, it } from 'vitest';
import { findPrometheus } from './prometheus.js';

describe('Prometheus for tests', () => {
  it('may be missing: with a clear reason, and as an error if it is required', () => {
    expect(findPrometheus({ PATH: '/nowhere' })).toMatchObject({
      available: false,
      reason: expect.stringContaining('apt-get install prometheus'),
    });
    expect(() => findPrometheus({ PATH: '/nowhere', REQUIRE_PROMETHEUS: '1' })).toThrow(
      'Prometheus is required (REQUIRE_PROMETHEUS), but there is no prometheus',
    );
  });
});
