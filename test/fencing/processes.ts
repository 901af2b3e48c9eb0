/** The processes of these tests: files of this folder, compiled to JavaScript, that import the package as published. */
import { fork, type ChildProcess } from 'node:child_process';
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import ts from 'typescript';
import { guard } from '../rig/guard.js';
import type { Outcome, Value } from './database.js';
import { listenTo } from '../security/canary.js';

const SOURCES = import.meta.dirname;
const BUILD = join(SOURCES, '..', '..', 'build');
const LOG_TAIL = 4_000;

/**
 * Compiles the sources of this folder into a separate folder, because test files run in parallel. Their types are checked
 * elsewhere. The folder is inside the repository, so that `nestjs-leader` resolves by its name; it must have been built.
 */
export async function buildProcesses(): Promise<{ folder: string; remove: () => Promise<void> }> {
  await mkdir(BUILD, { recursive: true });
  const folder = await mkdtemp(join(BUILD, 'fencing-'));
  const { config } = ts.readConfigFile('tsconfig.json', (path) => ts.sys.readFile(path)) as {
    config: { compilerOptions: object };
  };
  const { options } = ts.convertCompilerOptionsFromJson(config.compilerOptions, '.');
  // A single file does not show that the package has the type "module".
  const compilerOptions = { ...options, module: ts.ModuleKind.ESNext };
  const sources = (await readdir(SOURCES)).filter((name) => !name.endsWith('.test.ts'));
  await Promise.all(
    sources.map(async (name) => {
      const source = await readFile(join(SOURCES, name), 'utf8');
      const { outputText } = ts.transpileModule(source, { compilerOptions, fileName: name });
      await writeFile(join(folder, name.replace(/ts$/, 'js')), outputText);
    }),
  );
  return { folder, remove: () => rm(folder, { recursive: true, force: true }) };
}

/** A running process, and its messages. */
export class Process {
  readonly #child: ChildProcess;
  readonly #said: object[] = [];
  readonly #waiting = new Set<() => void>();
  readonly #exited: Promise<void>;
  #log = '';
  #ended: string | undefined;

  constructor(program: string, args: readonly string[]) {
    // 'advanced' carries bigints.
    this.#child = fork(program, args, {
      serialization: 'advanced',
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    listenTo(this.#child);
    const { pid } = this.#child;
    if (pid !== undefined) guard().watch(pid);
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.on('data', (chunk: Buffer) => {
        this.#log = (this.#log + chunk.toString('utf8')).slice(-LOG_TAIL);
      });
    }
    this.#child.on('message', (message) => {
      this.#said.push(message as object);
      this.#look();
    });
    this.#exited = new Promise((resolve) => {
      this.#child.on('close', (code, signal) => {
        if (pid !== undefined) guard().forget(pid);
        this.#ended = `${program} ended with ${signal ?? String(code)}:\n${this.#log}`;
        this.#look();
        resolve();
      });
    });
  }

  /** The first message with all properties of `known`, past or future. */
  async said<T extends object>(known: Partial<T>): Promise<T> {
    for (;;) {
      const found = this.#said.find((message) =>
        Object.entries(known).every(([key, value]) => (message as Record<string, unknown>)[key] === value),
      );
      if (found !== undefined) return found as T;
      if (this.#ended !== undefined) throw new Error(this.#ended);
      await new Promise<void>((resolve) => this.#waiting.add(resolve));
    }
  }

  tell(message: object): void {
    this.#child.send(message);
  }

  freeze(): void {
    this.#child.kill('SIGSTOP');
  }

  thaw(): void {
    this.#child.kill('SIGCONT');
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#exited;
  }

  #look(): void {
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  }
}

/** A process that runs the statements it is sent. */
export class Writer extends Process {
  #orders = 0;

  constructor(folder: string, database: string) {
    super(join(folder, 'writer-process.js'), [database]);
  }

  /** Sends the statement at once; it is carried out when the process runs. */
  async run(statement: string, values: Readonly<Record<string, Value>> = {}): Promise<Outcome> {
    this.#orders += 1;
    const number = this.#orders;
    this.tell({ number, statement, values });
    return (await this.said<{ number: number; outcome: Outcome }>({ number })).outcome;
  }
}
