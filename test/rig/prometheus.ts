/** Prometheus and its promtool, both of Debian's package prometheus, for the tests that need them. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { freePorts } from './free-ports.js';
import { scratchFolder } from './guard.js';
import { onPath } from './on-path.js';
import { RigProcess } from './rig-process.js';

/** The programs, or why they are not available. */
export type PrometheusSearch =
  | { readonly available: true; readonly prometheus: string; readonly promtool: string }
  | { readonly available: false; readonly reason: string };

/** @throws Error if they are not on the PATH and `REQUIRE_PROMETHEUS` is set, as in CI. */
export function findPrometheus(env: NodeJS.ProcessEnv = process.env): PrometheusSearch {
  const [prometheus, promtool] = ['prometheus', 'promtool'].map((program) => onPath(program, env['PATH']));
  if (prometheus !== undefined && promtool !== undefined) return { available: true, prometheus, promtool };
  const reason = 'there is no prometheus or no promtool on the PATH (apt-get install prometheus).';
  if (env['REQUIRE_PROMETHEUS'])
    throw new Error(`Prometheus is required (REQUIRE_PROMETHEUS), but ${reason}`);
  return { available: false, reason };
}

/** A series of an answer: its labels, and its samples as `[seconds, value]`. */
export interface Series {
  readonly metric: Readonly<Record<string, string>>;
  readonly values: readonly (readonly [at: number, value: string])[];
}

interface Answer {
  readonly status: string;
  readonly error?: string;
  readonly data: { readonly result: readonly (Partial<Series> & { readonly value?: Series['values'][0] })[] };
}

const LOOK_EVERY_MS = 250;
const WITHIN_MS = 60_000;
const STOP_WITHIN_MS = 5_000;

/** A running Prometheus that scrapes each target every second, and evaluates the rules as often. */
export class Prometheus {
  readonly #url: string;
  readonly #process: RigProcess;

  private constructor(url: string, process: RigProcess) {
    this.#url = url;
    this.#process = process;
  }

  /** @param targets labels by address: those that a service discovery would add. */
  static async start(
    program: string,
    targets: Readonly<Record<string, Readonly<Record<string, string>>>>,
    rules: string,
  ): Promise<Prometheus> {
    const [port] = await freePorts(1);
    const folder = await scratchFolder('prometheus');
    const file = join(folder, 'prometheus.json');
    // JSON is YAML.
    const config = {
      global: { scrape_interval: '1s', scrape_timeout: '1s', evaluation_interval: '1s' },
      rule_files: [rules],
      scrape_configs: [
        {
          job_name: 'sample-app',
          static_configs: Object.entries(targets).map(([address, labels]) => ({
            targets: [address],
            labels,
          })),
        },
      ],
    };
    await writeFile(file, JSON.stringify(config));
    const address = `127.0.0.1:${String(port)}`;
    const args = [
      `--config.file=${file}`,
      `--storage.tsdb.path=${join(folder, 'data')}`,
      `--web.listen-address=${address}`,
    ];
    const prometheus = new Prometheus(
      `http://${address}`,
      new RigProcess('prometheus', [program], args, undefined),
    );
    await prometheus.#until('to be ready', async () => (await prometheus.#get('/-/ready'))?.ok === true);
    return prometheus;
  }

  /** The series that an expression has now. */
  async query(expression: string): Promise<readonly Series[]> {
    return this.#ask('query', { query: expression });
  }

  /** The series that an expression had between two times, in seconds. */
  async queryRange(expression: string, start: number, end: number, step: number): Promise<readonly Series[]> {
    return this.#ask('query_range', {
      query: expression,
      start: String(start),
      end: String(end),
      step: String(step),
    });
  }

  /** Resolves with the series of an expression as soon as it has any. */
  async whenAny(expression: string): Promise<readonly Series[]> {
    let found: readonly Series[] = [];
    await this.#until(`to show ${expression}`, async () => {
      found = await this.query(expression);
      return found.length > 0;
    });
    return found;
  }

  async stop(): Promise<void> {
    await this.#process.stop(STOP_WITHIN_MS);
  }

  async #ask(what: string, query: Record<string, string>): Promise<readonly Series[]> {
    const path = `/api/v1/${what}?${new URLSearchParams(query).toString()}`;
    const answer = (await (await fetch(this.#url + path)).json()) as Answer;
    if (answer.status !== 'success') throw new Error(`${String(answer.error)}: ${String(query['query'])}`);
    return answer.data.result.map(({ metric = {}, values, value }) => ({
      metric,
      values: values ?? (value === undefined ? [] : [value]),
    }));
  }

  async #get(path: string): Promise<Response | undefined> {
    try {
      return await fetch(this.#url + path);
    } catch {
      // Not listening yet.
      return undefined;
    }
  }

  async #until(what: string, look: () => Promise<boolean>): Promise<void> {
    const until = Date.now() + WITHIN_MS;
    while (!(await look())) {
      this.#process.assertRunning();
      if (Date.now() > until) throw new Error(`Waited in vain for Prometheus ${what}:\n${this.#process.log}`);
      await pause(LOOK_EVERY_MS);
    }
  }
}
