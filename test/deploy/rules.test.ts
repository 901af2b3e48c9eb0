/** promtool's view of the rules of deploy/: they are valid, and each alert fires when it should and not otherwise. */
import { describe, expect, it } from 'vitest';
import { run } from '../package/consumer.js';
import { findPrometheus } from '../rig/prometheus.js';

const found = findPrometheus();

describe('deploy/prometheus/rules.yaml', () => {
  if (!found.available) {
    it(`is not checked by promtool here: ${found.reason}`, () => {
      expect(found.reason).not.toBe('');
    });
    return;
  }
  const promtool = (...args: string[]): Promise<string> => run('.', found.promtool, args);

  it('is valid for promtool, which finds nothing to say', async () => {
    const output = await promtool('check', 'rules', '--lint-fatal', 'deploy/prometheus/rules.yaml');
    expect(output).toMatch(/SUCCESS: \d+ rules found/);
  });

  it('passes the tests of test/deploy/alerts.yaml', async () => {
    expect(await promtool('test', 'rules', 'test/deploy/alerts.yaml')).toContain('SUCCESS');
  });
});
