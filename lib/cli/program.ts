import { createRequire } from 'node:module';
import { Argument, Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { parseDuration } from '../nest/options/options-from-environment.js';
import { checkFlags, checkLabel, checkName, shownError } from './cluster.js';
import { SHELLS, completionScript } from './completion.js';
import { doctor, type DoctorFlags } from './doctor/doctor.js';
import { electionFlags, electionGiven } from './election-flags.js';
import { applicationManifest, rbacManifest } from './manifests.js';
import { serve, type ServeFlags } from './serve.js';
import { status, type LeaseFlags } from './status.js';
import { stepDown, type StepDownFlags } from './step-down.js';
import { CommandError, EXIT, type ExitCode, type Terminal } from './terminal.js';
import { watch } from './watch.js';

/** Carries out a command line, given without the program's name. Never rejects. */
export async function run(terminal: Terminal, args: readonly string[]): Promise<ExitCode> {
  let exitCode: ExitCode = EXIT.ok;
  const program = programFor(terminal, (code) => {
    exitCode = code;
  });
  try {
    const [first, about] = args;
    if (first === 'help' && about !== undefined && !program.commands.some((each) => each.name() === about))
      program.error(`error: there is no command '${about}' (see nestjs-leader help)`);
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
type Action<F> = (name: string | undefined, flags: F) => Promise<ExitCode>;

/** The options as commander has read them. Each command declares its own below, with their kinds, so an action may rely on their types. */
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
    .version(version(), '--version', 'show the version')
    .showSuggestionAfterError();
  const command: AddCommand = <F>(
    synopsis: string,
    description: string,
    details: Details,
    action: Action<F>,
  ) => {
    const made = program
      .command(synopsis)
      .description(description)
      .action(async (...given: unknown[]) => {
        const [name, flags] = (given.length > 2 ? given : [undefined, ...given]) as [
          string | undefined,
          Flags,
        ];
        checkFlags(flags);
        onExit(await action(name, flags as F));
      });
    made.addHelpText('after', helpTextOf(details));
    return made;
  };
  addLeaseCommands(command, terminal);
  addDoctor(command, terminal);
  addStepDown(command, terminal);
  addManifests(command, terminal);
  addServe(command, terminal);
  addCompletion(command, program, terminal);
  return program;
}

/** Adds a command, whose options are of the kinds that `F` says. */
type AddCommand = <F = Flags>(
  synopsis: string,
  description: string,
  details: Details,
  action: Action<F>,
) => Command;

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
          3: 'nobody holds the Lease, or it does not exist',
        },
        examples: ['status', 'status billing -n shop', 'status billing --json'],
        notes:
          'STATE and RENEWED are judged by the clock of the API server alone. TERM AGE counts from acquireTime, which the\n' +
          "holder's clock wrote. WRITTEN BY is the client as the API server knows it: client-go has the name of its program.",
      },
      (lease, flags: LeaseFlags) => status(terminal, lease, flags),
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
      (lease, flags: LeaseFlags) => watch(terminal, lease, flags),
    ),
  ).option('--json', 'print a JSON object a line');
}

/** Adds the flags of an election. */
function withElectionOptions(command: Command): Command {
  for (const { option, value, help, choices } of electionFlags) {
    const made = new Option(value === undefined ? `--${option}` : `--${option} <${value}>`, help);
    // Not checked here: a variable may have the value, too.
    if (choices !== undefined) made.argChoices = [...choices];
    command.addOption(made);
  }
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
    (lease, flags: DoctorFlags & Flags) => doctor(terminal, lease, flags, electionIn(flags)),
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

function addStepDown(command: AddCommand, terminal: Terminal): void {
  withClusterOptions(
    command(
      'step-down',
      'Ask the holder of a Lease to hand over to another replica, and see what it does.',
      {
        exit: {
          0: 'another process holds the Lease',
          1: 'the request could not be made',
          3: 'nobody holds the Lease, or the holder did not hand over, or nobody else took it',
        },
        examples: ['step-down billing', 'step-down billing -n shop --yes --timeout 60s'],
        notes:
          'It writes the annotation nestjs-leader/wanted-by, and takes it back if nothing comes of it. The holder stops its work,\n' +
          'waits for it (drainTimeout), and releases the Lease; then it leaves it to the others for one retryPeriod.\n' +
          'With spread the elections are evened out again afterwards. Of an election with alsoLease name the Lease that comes\n' +
          'first in the alphabet. Not for coordinated elections, and not for other clients, such as client-go.',
      },
      (name, flags: StepDownFlags) => stepDown(terminal, String(name), flags),
    ).argument('<name>', 'the name of the Lease'),
  )
    .option('-y, --yes', 'do not ask before')
    .addOption(
      new Option('--timeout <duration>', 'how long to wait for the hand-over')
        .default(30_000, '30s')
        .argParser(duration),
    )
    .option('--json', 'print JSON');
}

function addManifests(command: AddCommand, terminal: Terminal): void {
  const forElection = (made: Command): Command =>
    withElectionOptions(
      made
        .argument('[name]', 'the name of the Lease (default: LEADER_ELECTION_LEASE_NAME)')
        .option(
          '-n, --namespace <name>',
          'the namespace in the objects (default: none, for kubectl apply -n)',
        )
        .option('--app <name>', 'the name of the application (default: that of the Lease)')
        .option('--coordinated', 'the election is coordinated'),
    );
  const read = (name: string | undefined, flags: Flags) => {
    const namespace = flags['namespace'] as string | undefined;
    const coordinated = flags['coordinated'] === true;
    const given = { name, flags: electionIn(flags), coordinated };
    const election = electionGiven(given, terminal.env, namespace ?? 'default');
    const app = (flags['app'] as string | undefined) ?? election.options.leaseName;
    checkName(app, '--app');
    return { election, options: { name: app, namespace, coordinated } };
  };
  forElection(
    command(
      'rbac',
      'Print the ServiceAccount, Role and RoleBinding that an election needs, as YAML.',
      {
        exit: { 0: 'the YAML was printed' },
        examples: ['rbac billing', 'rbac billing --events --takeover podStatus | kubectl apply -n shop -f -'],
        notes: ELECTION_NOTES,
      },
      (name, flags) => {
        const { election, options } = read(name, flags);
        terminal.write(rbacManifest(election, options));
        return Promise.resolve(EXIT.ok);
      },
    ),
  );
  forElection(
    command(
      'manifest',
      'Print all objects of an application with an election, as YAML.',
      {
        exit: { 0: 'the YAML was printed' },
        examples: ['manifest billing --image registry.example.com/billing:1.0.0 > billing.yaml'],
        notes: ELECTION_NOTES,
      },
      (name, flags) => {
        const { election, options } = read(name, flags);
        const [image, replicas, port] = [flags['image'], flags['replicas'], flags['port']] as [
          string,
          number,
          number,
        ];
        // Containers, Services and labels have it, too; a Service has "-leader" behind it.
        checkLabel(options.name, flags['app'] === undefined ? "--app (default: the Lease's name)" : '--app', {
          isService: Object.keys(election.leaderPodLabels).length > 0,
          longest: 63 - '-leader'.length,
        });
        terminal.write(applicationManifest(election, { ...options, image, replicas, port }));
        return Promise.resolve(EXIT.ok);
      },
    ),
  )
    .addOption(
      new Option('--image <image>', 'the image of the application').makeOptionMandatory().argParser(oneWord),
    )
    .addOption(new Option('--replicas <number>', 'how many replicas').default(3).argParser(count))
    .addOption(
      new Option('--port <number>', 'on which the application listens')
        .default(3_000)
        .argParser(portOfApplication),
    );
}

function addServe(command: AddCommand, terminal: Terminal): void {
  command(
    'serve',
    'Run a Lease API server on this machine, to work without a cluster, until Ctrl+C.',
    {
      exit: { 0: 'ended by SIGINT or SIGTERM', 1: 'the server could not be started' },
      examples: ['serve', 'serve --kubeconfig ./leader.kubeconfig --port 8001'],
      notes:
        'It serves Leases only, keeps them in memory, and accepts requests of programs on this machine only.',
    },
    (_, flags: ServeFlags) => serve(terminal, flags),
  )
    .option('--kubeconfig <file>', 'the kubeconfig to write', './leader.kubeconfig')
    .addOption(new Option('--port <number>', 'where to listen').default(0, 'a free port').argParser(port))
    .option('-n, --namespace <name>', 'the namespace of the context (default: default)');
}

function version(): string {
  const { version: own } = createRequire(import.meta.url)('../../package.json') as { version: string };
  return own;
}

function addCompletion(command: AddCommand, program: Command, terminal: Terminal): void {
  command(
    'completion',
    'Print a script that completes this command in a shell.',
    {
      exit: { 0: 'the script was printed' },
      examples: ['completion bash > ~/.local/share/bash-completion/completions/nestjs-leader'],
      notes: 'It completes nestjs-leader where that is on the PATH: npm install --global nestjs-leader.',
    },
    (shell) => {
      terminal.write(completionScript(program, shell as (typeof SHELLS)[number]));
      return Promise.resolve(EXIT.ok);
    },
  ).addArgument(new Argument('<shell>', 'the shell').choices(SHELLS));
}

function count(text: string): number {
  if (!/^[1-9]\d{0,4}$/.test(text)) throw new InvalidArgumentError('It must be a whole number, at least 1.');
  return Number(text);
}

function port(text: string): number {
  if (!/^\d{1,5}$/.test(text) || Number(text) > 65_535)
    throw new InvalidArgumentError('It must be a whole number from 0, for a free port, to 65535.');
  return Number(text);
}

function portOfApplication(text: string): number {
  if (!/^[1-9]\d{0,4}$/.test(text) || Number(text) > 65_535)
    throw new InvalidArgumentError('It must be a whole number from 1 to 65535.');
  return Number(text);
}

/** Text for a place in YAML where quotes would be needed for anything else. */
function oneWord(text: string): string {
  if (!/^[A-Za-z0-9][\w./:@-]*$/.test(text))
    throw new InvalidArgumentError('It must be the name of an image.');
  return text;
}

function duration(text: string): number {
  const ms = parseDuration(text);
  if (ms === undefined)
    throw new InvalidArgumentError('It must be a duration with a unit, such as 15s or 500ms.');
  return ms;
}
