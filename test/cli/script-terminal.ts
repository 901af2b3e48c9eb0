import { run } from '../../lib/cli/program.js';
import type { ExitCode, Terminal } from '../../lib/cli/terminal.js';

/** What one command wrote, and how it ended. */
export interface Ran {
  readonly out: string;
  readonly err: string;
  readonly code: ExitCode;
}

/** How a command is run. */
export interface RunSettings {
  readonly env?: NodeJS.ProcessEnv;
  /** A person answers with this. Default: nobody is there. */
  readonly answer?: string;
  readonly columns?: number;
  readonly rows?: number;
  /** Called with all that was written to standard output so far, whenever more is written. Return true to end the command. */
  readonly endWhen?: (out: string) => boolean;
}

/** Runs a command in this process, as a script would. */
export async function runCommand(args: readonly string[], settings: RunSettings = {}): Promise<Ran> {
  const [stop, written] = [new AbortController(), { out: '', err: '' }];
  const { answer, columns, rows, endWhen, env = {} } = settings;
  const terminal: Terminal = {
    write: (text) => {
      written.out += text;
      if (endWhen?.(written.out) === true) stop.abort();
    },
    warn: (line) => {
      written.err += `${line}\n`;
    },
    isInteractive: answer !== undefined,
    columns,
    rows,
    ask: (question) => {
      written.out += question;
      return Promise.resolve(answer ?? '');
    },
    env,
    signal: stop.signal,
  };
  return { code: await run(terminal, args), ...written };
}
