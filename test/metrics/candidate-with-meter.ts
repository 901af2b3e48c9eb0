/** Candidates with a metrics registry of their own, which a test reads. */
import { Registry } from 'prom-client';
import type { ElectionOptions, MetricsProvider } from '../../lib/election/index.js';
import { prometheusMetrics } from '../../lib/metrics/prometheus.js';
import type { Candidate, World } from '../election/candidate.js';

/** Values by series, such as `terms_total{takeover="clean"}`, without the prefix and the common labels. */
export type Figures = Readonly<Record<string, number>>;

/** The result of a scrape, without empty histogram buckets. */
export async function scrape(register: Registry): Promise<Figures> {
  const lines = (await register.metrics()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return Object.fromEntries(lines.map(asFigure));
}

function asFigure(line: string): [string, number] {
  const space = line.lastIndexOf(' ');
  const series = line
    .slice(0, space)
    .replace(/^leader_election_/, '')
    .replace(/name="simulated",election="default",?/, '')
    .replace(/,?\}$/, '}')
    .replace('{}', '');
  const value = line.slice(space + 1);
  return [series, value === '+Inf' ? Number.POSITIVE_INFINITY : Number(value)];
}

export interface Metered extends Candidate {
  readonly register: Registry;
  figures(): Promise<Figures>;
}

/** A candidate that has not been started. */
export function prepareMetered(
  world: World,
  identity: string,
  options: Partial<ElectionOptions> = {},
): Metered {
  const register = new Registry();
  const provider: MetricsProvider = prometheusMetrics(register);
  const meter = provider.meter({ leaseName: 'simulated', election: 'default' });
  const candidate = world.prepare(identity, options, {}, undefined, undefined, meter);
  // So its first renewal is not early.
  candidate.clock.random = () => 0;
  return Object.assign(candidate, { register, figures: () => scrape(register) });
}

export function startMetered(
  world: World,
  identity: string,
  options: Partial<ElectionOptions> = {},
): Metered {
  const candidate = prepareMetered(world, identity, options);
  candidate.start();
  return candidate;
}
