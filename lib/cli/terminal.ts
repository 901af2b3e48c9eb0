/** What a command sees of the terminal, or of the script, that runs it. */
export interface Terminal {
  /** Writes to standard output. */
  write(text: string): void;
  /** Writes a line to standard error. */
  warn(line: string): void;
  /** Whether a person sees the output and can answer a question. */
  readonly isInteractive: boolean;
  /** How many characters a line has; undefined if standard output is no terminal. */
  readonly columns: number | undefined;
  /** How many lines it shows; undefined if standard output is no terminal. */
  readonly rows: number | undefined;
  /** Asks a person, and resolves with the answer. */
  ask(question: string): Promise<string>;
  readonly env: NodeJS.ProcessEnv;
  /** Fires when the command is to end: SIGINT, SIGTERM. */
  readonly signal: AbortSignal;
}

/** How a command ends. */
export const EXIT = {
  /** The command did what it says; the lease is held. */
  ok: 0,
  /** The command could not be carried out, for example because the API server did not answer. */
  error: 1,
  /** The command line was wrong. */
  usage: 2,
  /** The answer is no: nobody holds the lease, a check failed, the holder did not hand over. */
  no: 3,
} as const;

/** One of {@link EXIT}. */
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** A command cannot be carried out; the message is for the user. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
  readonly exitCode: ExitCode;

  constructor(message: string, exitCode: ExitCode = EXIT.error) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** What could change what a terminal shows, or the order of what it shows. */
const controls = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/** Text of others as a terminal may show it: whoever may write a Lease may write anything into it. */
export function plain(text: string): string {
  return text.replace(controls, '?');
}

/** A value as JSON that a terminal may show: what could change it is escaped. */
export function json(value: unknown, indent?: number): string {
  return JSON.stringify(value, undefined, indent).replace(controls, (char) =>
    char === '\n'
      ? char
      : Array.from({ length: char.length }, (_, unit) => escaped(char.charCodeAt(unit))).join(''),
  );
}

function escaped(unit: number): string {
  return `\\u${unit.toString(16).padStart(4, '0')}`;
}
