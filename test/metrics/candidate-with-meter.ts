/** Candidates whose figures a test reads from a registry of their own. */
import { Registry } from 'prom-client';
import type { ElectionOptions, MetricsProvider } from '../../lib/election/index.js';
import { prometheusMetrics } from '../../lib/metrics/prometheus.js';
import type { Candidate, World } from '../election/candidate.js';

/** Values by series, as in `terms_total{takeover="clean"}`, without the prefix and the labels that all have. */
export type Figures = Readonly<Record<string, number>>;

/** What a scrape shows now, without the series of bounds below which nothing was seen. */
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

/** A candidate that was not started yet. */
export function prepareMetered(
  world: World,
  identity: string,
  options: Partial<ElectionOptions> = {},
): Metered {
  const register = new Registry();
  const provider: MetricsProvider = prometheusMetrics(register);
  const meter = provider.meter({ leaseName: 'simulated', election: 'default' });
  const candidate = world.prepare(identity, options, {}, undefined, undefined, meter);
  // Its first renewal is not early.
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
