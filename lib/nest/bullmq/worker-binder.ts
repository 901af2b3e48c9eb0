import type { ModulesContainer } from '@nestjs/core';
import { LeaderError, type LeadershipTerm } from '../../election/index.js';
import type { LeaderService } from '../leader.service.js';
import { holdBackWorkersOf, isProcessorLedBy, type ProcessorClass } from './job-processor.js';
import { LedWorker, unknownShape, type Worker } from './led-worker.js';

type NestModule = ModulesContainer extends Map<string, infer M> ? M : never;
type Wrapper = NestModule['providers'] extends Map<unknown, infer W> ? W : never;

/** Finds the processors whose `process` one election gates, and lets their workers run only in its terms. */
export class WorkerBinder {
  readonly #leader: LeaderService;
  readonly #modules: ModulesContainer;
  readonly #warn: (line: string) => void;
  readonly #led = new Map<Worker, LedWorker>();
  #toldOfUnknown = false;

  constructor(leader: LeaderService, modules: ModulesContainer, warn: (line: string) => void) {
    this.#leader = leader;
    this.#modules = modules;
    this.#warn = warn;
  }

  /**
   * To be called before any module's onModuleInit, in which @nestjs/bullmq creates its workers. The decorator cannot do it: a
   * `@Processor()` above it would overwrite the options.
   */
  holdBackAll(): void {
    for (const { processor } of this.#processors()) holdBackWorkersOf(processor);
  }

  /** @throws LeaderError `LEADER_MODULE_MISSING` for a processor that Nest did not create: its gate has no election. */
  checkAll(): void {
    for (const wrapper of this.#providers()) {
      const made = (wrapper.instance as object | undefined)?.constructor;
      if (wrapper.isAlias || isMadeByNest(wrapper) || !this.#leads(made)) continue;
      throw notMadeByNest(made, this.#leader.election);
    }
  }

  /** To be called once, before the campaign. */
  bindAll(): void {
    for (const { processor, wrapper } of this.#processors()) {
      this.#leader.on('startedLeading', ({ term }) => {
        this.#lead(processor, wrapper.instance as { readonly worker: Worker }, term);
      });
    }
  }

  /** Finds the worker at each term: with `manualRegistration` the application decides when it is created. */
  #lead(processor: ProcessorClass, host: { readonly worker: Worker }, term: LeadershipTerm): void {
    let worker: Worker;
    try {
      ({ worker } = host);
    } catch {
      this.#warn(
        `${processor.name} has no worker, so its jobs wait: call BullRegistrar.register() before the application has ` +
          `started (in an onApplicationBootstrap, say). One that is registered now runs from the next term on.`,
      );
      return;
    }
    this.#warnOfUnknownShape(worker);
    const led = this.#led.get(worker) ?? new LedWorker(worker, this.#warn);
    this.#led.set(worker, led);
    led.lead(term);
  }

  /** Warns once, because all workers are of one version. */
  #warnOfUnknownShape(worker: Worker): void {
    const line = unknownShape(worker);
    if (line === undefined || this.#toldOfUnknown) return;
    this.#toldOfUnknown = true;
    this.#warn(line);
  }

  /** The instances that have the workers. A request-scoped class has one, too, besides an instance for each job. */
  #processors(): { processor: ProcessorClass; wrapper: Wrapper }[] {
    return this.#providers().flatMap((wrapper) => {
      const processor: unknown = wrapper.metatype;
      return isMadeByNest(wrapper) && this.#leads(processor) ? [{ processor, wrapper }] : [];
    });
  }

  #leads(candidate: unknown): candidate is ProcessorClass {
    return isProcessorLedBy(this.#leader.election, candidate);
  }

  #providers(): Wrapper[] {
    return [...this.#modules.values()].flatMap(({ providers }) => [...providers.values()]);
  }
}

/** Whether a provider is a class, not a factory or a value. */
function isMadeByNest({ metatype, inject }: Wrapper): boolean {
  return typeof metatype === 'function' && !Array.isArray(inject);
}

function notMadeByNest(processor: ProcessorClass, election: string): LeaderError {
  return new LeaderError(
    'LEADER_MODULE_MISSING',
    `${processor.name}.process() is under @OnlyWhenLeader(), but its instance comes from useFactory or useValue, so the ` +
      `election '${election}' is not in its reach. Provide the class itself: providers: [${processor.name}].`,
  );
}
