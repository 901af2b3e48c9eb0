/** Looks up single figures of a run. */
import type { Blow } from '../contest.js';
import type { Death, DeathSeries } from '../deaths.js';
import type { Results } from '../results.js';
import type { ScaleFigures } from '../scale.js';
import type { SteadyFigures } from '../steady.js';
import { summarise } from '../summary.js';

export class Findings {
  readonly #results: Results;

  constructor(results: Results) {
    this.#results = results;
  }

  /** Milliseconds from the signal, without trials in which nobody led in time. */
  failover(side: string, blow: Blow, idleSeconds: number): number[] {
    const all = this.#results.failover ?? [];
    const series = all.find(
      (one) => one.side === side && one.blow === blow && one.idleSeconds === idleSeconds,
    );
    return (series?.fromSignal ?? []).filter((value) => value !== null);
  }

  fromExpiry(side: string): number[] {
    const series = (this.#results.failover ?? []).find((one) => one.side === side && one.blow === 'SIGKILL');
    return (series?.fromExpiry ?? []).filter((value) => value !== null);
  }

  /** Median milliseconds until the next leads, with the default `timing`. */
  death(side: DeathSeries['side'], death: Death): number | undefined {
    const series = this.#results.crashes?.deaths.find(
      (one) => one.side === side && one.death === death && one.timing === 'standard',
    );
    return series && summarise(series.untilNext.filter((value) => value !== null)).p50;
  }

  /** Median milliseconds until it leads. */
  start(side: string): number | undefined {
    const figures = this.#results.start?.find((one) => one.side === side);
    return figures && summarise(figures.leads).p50;
  }

  /** Median milliseconds until it is ready. */
  ready(side: string): number | undefined {
    const figures = this.#results.start?.find((one) => one.side === side);
    return figures && summarise(figures.ready).p50;
  }

  steady(side: string, role: SteadyFigures['role']): SteadyFigures | undefined {
    return this.#results.steady?.find((one) => one.side === side && one.role === role);
  }

  scale(side: string, elections: number): ScaleFigures | undefined {
    return this.#results.scale?.find((one) => one.side === side && one.elections === elections);
  }
}
