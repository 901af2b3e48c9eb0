import type { Command, Option } from 'commander';

/** The shells for which there is a script. */
export const SHELLS = ['bash', 'zsh', 'fish'] as const;

/** What a script must know of a command. */
interface Completed {
  readonly name: string;
  readonly description: string;
  readonly options: readonly CompletedOption[];
  /** What may stand where no option stands; empty for names that only the cluster knows. */
  readonly words: readonly string[];
}

interface CompletedOption {
  readonly flags: readonly string[];
  readonly description: string;
  readonly value: 'none' | 'file' | 'other' | readonly string[];
}

/**
 * The script that completes the commands, options and values of `program` in a shell. All words are in the script: it runs no
 * program, and evaluates nothing that was typed.
 */
export function completionScript(program: Command, shell: (typeof SHELLS)[number]): string {
  const names = program.commands.map((command) => command.name());
  const commands: Completed[] = program.commands.map((command) => ({
    name: command.name(),
    description: command.description(),
    options: [
      ...command.options.map(completedOption),
      { flags: ['-h', '--help'], description: 'show this help', value: 'none' },
    ],
    words: command.registeredArguments[0]?.argChoices ?? [],
  }));
  const help = { name: 'help', description: 'show help for a command', options: [], words: names };
  return { bash, zsh, fish }[shell](program.name(), [...commands, help]);
}

function completedOption({ short, long, description, required, flags, argChoices }: Option): CompletedOption {
  const value = !required ? 'none' : (argChoices ?? (flags.endsWith('<file>') ? 'file' : 'other'));
  return { flags: [short, long].filter((flag) => typeof flag === 'string'), description, value };
}

function bash(program: string, commands: readonly Completed[]): string {
  const ofValues = commands.flatMap(({ name, options }) =>
    options
      .filter(({ value }) => value !== 'none')
      .map(({ flags, value }) => {
        const patterns = flags.map((flag) => `'${name} ${flag}'`).join(' | ');
        // Without words the shell offers files.
        return `${patterns}) words='${typeof value === 'string' ? '' : value.join(' ')}' ;;`;
      }),
  );
  const ofCommands = commands.map(({ name, options, words }) => {
    const all = [...words, ...options.flatMap(({ flags }) => flags.slice(-1))];
    return `'${name} '*) words='${all.join(' ')}' ;;`;
  });
  const lines = [
    `# Completion of ${program} in bash.`,
    '_nestjs_leader() {',
    `  local IFS=' ' current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD - 1]} words='' word`,
    '  COMPREPLY=()',
    '  # bash takes --option=value for three words.',
    `  if [[ $current == '=' ]]; then current=''`,
    `  elif [[ $previous == '=' ]]; then previous=\${COMP_WORDS[COMP_CWORD - 2]}; fi`,
    '  if ((COMP_CWORD == 1)); then',
    `    words='${[...commands.map(({ name }) => name), '--help', '--version'].join(' ')}'`,
    '  else',
    '    case "${COMP_WORDS[1]} $previous" in',
    ...[...ofValues, ...ofCommands].map((line) => `      ${line}`),
    '    esac',
    '  fi',
    '  for word in $words; do',
    '    case $word in "$current"*) COMPREPLY+=("$word") ;; esac',
    '  done',
    '}',
    `complete -o default -F _nestjs_leader ${program}`,
  ];
  return `${lines.join('\n')}\n`;
}

function zsh(program: string, commands: readonly Completed[]): string {
  const described = (word: string, description: string): string =>
    quoted(`${word.replaceAll(':', '\\:')}:${description}`);
  const ofValues = commands.flatMap(({ name, options }) =>
    options
      .filter(({ value }) => value !== 'none')
      .map(({ flags, value }) => {
        const offer =
          value === 'file' ? '_files' : typeof value === 'string' ? ':' : `compadd -- ${value.join(' ')}`;
        return `${flags.map((flag) => `'${name} ${flag}'`).join(' | ')}) ${offer}; return ;;`;
      }),
  );
  const ofCommands = commands.flatMap(({ name, options, words }) => [
    `${name})`,
    `  found=(${options.map(({ flags, description }) => described(flags.at(-1) ?? '', description)).join(' ')})`,
    ...(words.length > 0 ? [`  compadd -- ${words.join(' ')}`] : []),
    '  ;;',
  ]);
  const lines = [
    `#compdef ${program}`,
    `# Completion of ${program} in zsh.`,
    `_${program}() {`,
    '  local previous=${words[CURRENT-1]}',
    '  local -a found',
    '  if [[ $PREFIX == --*=* ]]; then',
    '    previous=${PREFIX%%=*}',
    `    compset -P '*='`,
    '  fi',
    '  if (( CURRENT == 2 )); then',
    `    found=(${commands.map(({ name, description }) => described(name, description)).join(' ')})`,
    `    _describe command found`,
    '    return',
    '  fi',
    '  case "${words[2]} $previous" in',
    ...ofValues.map((line) => `    ${line}`),
    '  esac',
    '  case "${words[2]}" in',
    ...ofCommands.map((line) => `    ${line}`),
    '  esac',
    '  _describe -o option found',
    '}',
    '# In a folder of fpath this file is the function; otherwise it is sourced.',
    `if [[ \${funcstack[1]} == _${program} ]]; then _${program} "$@"; else compdef _${program} ${program}; fi`,
  ];
  return `${lines.join('\n')}\n`;
}

function fish(program: string, commands: readonly Completed[]): string {
  const complete = `complete -c ${program}`;
  const lines = commands.flatMap(({ name, description, options, words }) => {
    const within = `${complete} -n '__fish_seen_subcommand_from ${name}'`;
    return [
      `${complete} -n __fish_use_subcommand -a ${name} -d ${fishQuoted(description)}`,
      ...(words.length > 0 ? [`${within} -a '${words.join(' ')}'`] : []),
      ...options.map(({ flags, description: says, value }) => {
        const names = flags.map((flag) =>
          flag.startsWith('--') ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`,
        );
        const values =
          value === 'none'
            ? []
            : value === 'file'
              ? ['-r -F']
              : value === 'other'
                ? ['-x']
                : [`-x -a '${value.join(' ')}'`];
        return [within, ...names, ...values, '-d', fishQuoted(says)].join(' ');
      }),
    ];
  });
  return `${[`# Completion of ${program} in fish.`, `${complete} -e`, `${complete} -f`, ...lines].join('\n')}\n`;
}

/** Text as one word of bash or zsh. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

function fishQuoted(text: string): string {
  return `'${text.replace(/[\\']/g, '\\$&')}'`;
}
