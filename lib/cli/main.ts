import { createInterface } from 'node:readline/promises';
import { run } from './program.js';
import { EXIT, type Terminal } from './terminal.js';

/** Whether output was lost, which is an error whatever the command says. */
const output = { isLost: false };

/** The terminal of this process. Its signal fires at the first SIGINT or SIGTERM; a second one ends the process. */
function ownTerminal(): Terminal {
  const { stdin, stdout, stderr, env } = process;
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => {
      stop.abort();
    });
  stdout.on('error', ({ code = 'unknown' }: NodeJS.ErrnoException) => {
    // `… | head` closes the pipe: then nobody reads on.
    if (code !== 'EPIPE') {
      output.isLost = true;
      process.exitCode = EXIT.error;
      stderr.write(`error: the output could not be written (${code})\n`);
    }
    stop.abort();
  });
  return {
    write: (text) => stdout.write(text),
    warn: (line) => stderr.write(`${line}\n`),
    isInteractive: stdin.isTTY && stdout.isTTY,
    get columns() {
      return stdout.isTTY ? stdout.columns : undefined;
    },
    get rows() {
      return stdout.isTTY ? stdout.rows : undefined;
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

const exitCode = await run(ownTerminal(), process.argv.slice(2));
if (!output.isLost) process.exitCode = exitCode;
