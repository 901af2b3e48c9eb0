import { createInterface } from 'node:readline/promises';
import { run } from './program.js';
import type { Terminal } from './terminal.js';

/** The terminal of this process. Its signal fires at the first SIGINT or SIGTERM; a second one ends the process. */
function ownTerminal(): Terminal {
  const { stdin, stdout, stderr, env } = process;
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => {
      stop.abort();
    });
  // `… | head` closes the pipe: then nobody reads on.
  stdout.on('error', () => {
    stop.abort();
  });
  return {
    write: (text) => stdout.write(text),
    warn: (line) => stderr.write(`${line}\n`),
    isInteractive: stdin.isTTY && stdout.isTTY,
    get columns() {
      return stdout.isTTY ? stdout.columns : undefined;
    },
    ask: async (question) => {
      const lines = createInterface({ input: stdin, output: stdout });
      try {
        return await lines.question(question, { signal: stop.signal });
      } finally {
        lines.close();
      }
    },
    env,
    signal: stop.signal,
  };
}

process.exitCode = await run(ownTerminal(), process.argv.slice(2));
