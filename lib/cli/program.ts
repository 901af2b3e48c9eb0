import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { parseDuration } from '../nest/options/options-from-environment.js';
import { shownError } from './cluster.js';
import { doctor, type DoctorFlags } from './doctor/doctor.js';
import { electionFlags } from './election-flags.js';
import { status, type LeaseFlags } from './status.js';
import { CommandError, EXIT, type ExitCode, type Terminal } from './terminal.js';
import { watch } from './watch.js';

/** Carries out a command line, given without the program's name. Never rejects. */
export async function run(terminal: Terminal, args: readonly string[]): Promise<ExitCode> {
  let exitCode: ExitCode = EXIT.ok;
  const program = programFor(terminal, (code) => {
    exitCode = code;
  });
  try {
    await program.parseAsync([...args], { from: 'user' });
    return exitCode;
  } catch (error) {
    // Commander has written its message already.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    if (terminal.signal.aborted) return EXIT.error;
    terminal.warn(`error: ${shownError(error)}`);
    return error instanceof CommandError ? error.exitCode : EXIT.error;
  }
}

/** What a command does, given its arguments and options. */
type Action = (name: string | undefined, flags: Flags) => Promise<ExitCode>;

type Flags = Readonly<Record<string, unknown>>;

/** All commands, with their options and help. */
export function programFor(terminal: Terminal, onExit: (code: ExitCode) => void): Command {
  const program = new Command('nestjs-leader')
    .description('Leases and leaders of nestjs-leader, seen and operated from the command line.')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => {
        terminal.write(text);
      },
      writeErr: (text) => {
        terminal.warn(text.trimEnd());
      },
    })
    .helpCommand('help [command]', 'show help for a command')
    .helpOption('-h, --help', 'show this help')
    .showSuggestionAfterError();
  const command = (synopsis: string, description: string, details: Details, action: Action): Command => {
    const made = program
      .command(synopsis)
      .description(description)
      .action(async (...given: unknown[]) => {
        const [name, flags] = (given.length > 2 ? given : [undefined, ...given]) as [
          string | undefined,
          Flags,
        ];
        onExit(await action(name, flags));
      });
    made.addHelpText('after', helpTextOf(details));
    return made;
  };
  addLeaseCommands(command, terminal);
  addDoctor(command, terminal);
  return program;
}

type AddCommand = (synopsis: string, description: string, details: Details, action: Action) => Command;

/** What the help of a command says below its options. */
interface Details {
  readonly exit: Readonly<Record<number, string>>;
  readonly examples: readonly string[];
  readonly notes?: string;
}

function helpTextOf({ exit, examples, notes }: Details): string {
  const codes = Object.entries({ ...exit, 2: 'the command line is wrong' }).map(
    ([code, meaning]) => `  ${code}  ${meaning}`,
  );
  return [
    ...(notes === undefined ? [] : ['', notes]),
    ...['', 'Exit codes:', ...codes],
    ...['', 'Examples:', ...examples.map((example) => `  $ npx nestjs-leader ${example}`)],
  ].join('\n');
}

const namespaceOption = (): Option =>
  new Option(
    '-n, --namespace <name>',
    "the namespace (default: the pod's or the kubeconfig's, else default)",
  );

function withClusterOptions(command: Command): Command {
  return command
    .addOption(namespaceOption())
    .option('--kubeconfig <file>', "the kubeconfig (default: the pod's service account, else KUBECONFIG)")
    .option('--context <name>', 'the context of the kubeconfig (default: its current one)');
}

function addLeaseCommands(command: AddCommand, terminal: Terminal): void {
  const name = 'the name of a Lease (default: all)';
  const leaseOptions = (made: Command): Command =>
    withClusterOptions(made.argument('[name]', name)).option(
      '-A, --all-namespaces',
      'the Leases of all namespaces',
    );
  leaseOptions(
    command(
      'status',
      'Show who holds a Lease.',
      {
        exit: {
          0: 'somebody holds the Lease; without a name: the Leases were read',
          1: 'the Leases could not be read',
          3: 'nobody holds the Lease, or there is none of that name',
        },
        examples: ['status', 'status billing -n shop', 'status billing --json'],
        notes:
          'STATE and RENEWED are judged by the clock of the API server alone. TERM AGE counts from acquireTime, which the\n' +
          "holder's clock wrote. WRITTEN BY is the client as the API server knows it: client-go has the name of its program.",
      },
      (lease, flags) => status(terminal, lease, flags as LeaseFlags),
    ),
  ).option('--json', 'print JSON');
  leaseOptions(
    command(
      'watch',
      'Show who holds a Lease, and every change, until Ctrl+C.',
      {
        exit: { 0: 'ended by SIGINT or SIGTERM', 1: 'the Leases could not be read' },
        examples: ['watch', 'watch billing', 'watch -A --json'],
        notes:
          'A terminal shows one table. Otherwise a line is printed for each Lease that changes, but not for mere renewals.\n' +
          'TOKEN is the fencing token of a term that began while this command watched: a Lease does not tell it later.',
      },
      (lease, flags) => watch(terminal, lease, flags as LeaseFlags),
    ),
  ).option('--json', 'print a JSON object a line');
}

/** Adds the flags of an election. */
function withElectionOptions(command: Command): Command {
  for (const { option, value, help } of electionFlags)
    command.option(value === undefined ? `--${option}` : `--${option} <${value}>`, help);
  return command;
}

/** The flags of an election that were given. */
function electionIn(flags: Flags): ReadonlyMap<string, string> {
  const nameOf = (option: string): string =>
    option.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
  return new Map(
    electionFlags.flatMap(({ option }) => {
      const value = flags[nameOf(option)];
      if (value === true) return [[option, 'true'] as const];
      return typeof value === 'string' ? [[option, value] as const] : [];
    }),
  );
}

const ELECTION_NOTES =
  'The options of the election are flags or, like those of the module, LEADER_ELECTION_* variables.';

function addDoctor(command: AddCommand, terminal: Terminal): void {
  const made = command(
    'doctor',
    'Check whether an election works here: permissions, writes, watch, timing, clocks, grace period, fleet.',
    {
      exit: { 0: 'no check failed', 1: 'the checks could not be made', 3: 'a check failed' },
      examples: [
        'doctor billing',
        'doctor billing --timing fast --events --service-account billing',
        'doctor billing -n shop --pod billing-7d9c5b5b4-x2x8k --json',
      ],
      notes:
        `${ELECTION_NOTES}\n` +
        'It never changes a Lease of others. To measure writes it creates, writes and deletes a Lease\n' +
        '"nestjs-leader-doctor-…" where the account may do that, and otherwise uses dry runs.',
    },
    (lease, flags) => doctor(terminal, lease, flags as unknown as DoctorFlags, electionIn(flags)),
  ).argument('[name]', 'the name of the Lease (default: LEADER_ELECTION_LEASE_NAME)');
  withElectionOptions(withClusterOptions(made))
    .option('--coordinated', 'the election is coordinated')
    .option('--service-account <name>', 'whose permissions to check (default: those of this account)')
    .option('--pod <name>', 'a pod of the application, for its grace period (default: this pod)')
    .addOption(
      new Option('--observe <duration>', 'how long to watch the Lease')
        .default(5_000, '5s')
        .argParser(duration),
    )
    .option('--no-probe', 'create no temporary Lease')
    .option('--json', 'print JSON');
}

function duration(text: string): number {
  const ms = parseDuration(text);
  if (ms === undefined)
    throw new InvalidArgumentError('It must be a duration with a unit, such as 15s or 500ms.');
  return ms;
}
