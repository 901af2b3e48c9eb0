// Who may import whom (ARCHITECTURE.md, "The rooms"), and where time and chance come in.
import eslint from '@eslint/js';
import { defineConfig } from 'eslint/config';
import tseslint from 'typescript-eslint';

/** Rooms other than `room` and those it may enter, and everything behind the one file that others may import. */
function walls(room, mayEnter) {
  const rooms = ['election', 'kubernetes', 'nest', 'metrics', 'testing', 'cli'];
  const closed = rooms.filter((other) => other !== room && !mayEnter.includes(other));
  return [
    {
      regex: `^(\\.\\./)+(${closed.join('|')})(/|$)`,
      message: `lib/${room} may not import this room (ARCHITECTURE.md, "The rooms").`,
    },
    {
      regex: `^(\\.\\./)+(?!(election|kubernetes)/internal\\.js$|testing/index\\.js$)(${rooms.filter((other) => other !== room).join('|')})/`,
      message: 'Of another room import internal.ts (of testing index.ts), and nothing behind it.',
    },
    { regex: '^(\\.\\./)+(index|testing)\\.js$', message: 'The entry points are for users.' },
  ];
}

const nodeOnlyIn = (files) => ({
  regex: '^(node:|fs$|http$|https$|crypto$|os$|timers$)',
  message: `The election does no I/O; node:* is for ${files} only.`,
});
const coreAlone = {
  regex: '^\\./[a-z-]+/',
  message: 'The core knows none of the folders that are built on it.',
};
const noNest = { regex: '^@nestjs/', message: 'Only lib/nest and the entry points know Nest.' };
const noClientNode = {
  regex: '^@kubernetes/client-node',
  allowTypeImports: true,
  message: 'client-node is loaded lazily, by import() in lib/kubernetes (its import takes 300 ms).',
};
const noMetricsLibrary = {
  regex: '^(prom-client|@opentelemetry/)',
  message: 'Each metrics library has one file in lib/metrics that knows it; an application may have neither.',
};
const onlyEntryPoints = {
  regex: '(^|/)(lib|dist)/',
  message: "Import the published entry points of 'nestjs-leader'.",
};

const imports = (...patterns) => ({ '@typescript-eslint/no-restricted-imports': ['error', { patterns }] });

/** The one file that imports that metrics library, and no other. */
const knowsLibrary = (file, library) => ({
  files: [file],
  rules: imports(...walls('metrics', ['election']), noNest, noClientNode, {
    ...noMetricsLibrary,
    regex: `^(?!${library}$)(prom-client|@opentelemetry/)`,
  }),
});

const TIME_AND_CHANCE = 'Time and chance come from the Clock; only SystemClock touches them.';
const timeAndChance = {
  'no-restricted-globals': [
    'error',
    ...['setTimeout', 'setInterval', 'setImmediate', 'performance', 'crypto'].map((name) => ({
      name,
      message: TIME_AND_CHANCE,
    })),
  ],
  'no-restricted-properties': [
    'error',
    { object: 'Date', property: 'now', message: TIME_AND_CHANCE },
    { object: 'Math', property: 'random', message: TIME_AND_CHANCE },
    { object: 'AbortSignal', property: 'timeout', message: TIME_AND_CHANCE },
    {
      object: 'process',
      property: 'exit',
      message: "Only onLost: 'exit' ends the process (lib/nest/election-lifecycle.ts).",
    },
  ],
  'no-restricted-syntax': [
    'error',
    { selector: 'NewExpression[callee.name="Date"][arguments.length=0]', message: TIME_AND_CHANCE },
    { selector: 'TSEnumDeclaration', message: 'A union of literals, please.' },
    { selector: 'ExportDefaultDeclaration', message: 'Names are the same everywhere: no default exports.' },
  ],
};

/** What the command line shares with the module: how options are read. These files know no Nest. */
const optionFiles = 'nest/options/(options-from-environment|lease-names|coordinated-option)\\.js';

/** `import()` of kubernetes is nest's one door to it. */
const oneDoor = {
  selector: 'ImportExpression[source.value=/kubernetes/]',
  message: 'lib/nest reaches lib/kubernetes through one import(), in kubernetes-connections.ts.',
};

export default defineConfig(
  { ignores: ['dist/', 'build/', 'coverage/', 'node_modules/', 'test/consumers/'] },
  eslint.configs.recommended,
  tseslint.configs.strictTypeChecked,
  tseslint.configs.stylisticTypeChecked,
  {
    languageOptions: {
      parserOptions: {
        projectService: { allowDefaultProject: ['*.mjs', 'scripts/*.mjs'] },
        tsconfigRootDir: import.meta.dirname,
      },
    },
    rules: {
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreVoidReturningFunctions: true }],
      // Nest's decorated classes, some of which have no members.
      '@typescript-eslint/no-extraneous-class': ['error', { allowWithDecorator: true }],
      '@typescript-eslint/non-nullable-type-assertion-style': 'off',
      '@typescript-eslint/class-literal-property-style': 'off',
      // Nest types its options as classes, and everyone passes literals.
      '@typescript-eslint/no-unsafe-class-instance-assignment': 'off',
      // What is thrown on is what was given: an AbortSignal's reason, another's error.
      '@typescript-eslint/only-throw-error': [
        'error',
        { allowThrowingUnknown: true, allowThrowingAny: true },
      ],
    },
  },
  {
    files: ['lib/**/*.ts'],
    rules: {
      ...timeAndChance,
      ...imports(noNest, noClientNode, noMetricsLibrary),
      'no-console': 'error',
      'max-lines-per-function': ['error', 70],
    },
  },
  {
    files: ['lib/election/**/*.ts'],
    rules: imports(
      ...walls('election', []),
      noNest,
      noClientNode,
      noMetricsLibrary,
      nodeOnlyIn('three files'),
    ),
  },
  {
    files: ['lib/election/*.ts'],
    ignores: ['lib/election/index.ts', 'lib/election/internal.ts'],
    rules: imports(
      ...walls('election', []),
      noNest,
      noClientNode,
      noMetricsLibrary,
      nodeOnlyIn('three files'),
      coreAlone,
    ),
  },
  {
    files: ['lib/election/system-clock.ts', 'lib/election/current-term.ts', 'lib/election/options.ts'],
    rules: imports(...walls('election', []), noNest, noClientNode, noMetricsLibrary, coreAlone),
  },
  {
    files: ['lib/election/system-clock.ts'],
    rules: { 'no-restricted-globals': 'off', 'no-restricted-properties': 'off' },
  },
  {
    files: ['lib/kubernetes/**/*.ts'],
    rules: imports(...walls('kubernetes', ['election']), noNest, noClientNode, noMetricsLibrary),
  },
  {
    files: ['lib/metrics/**/*.ts'],
    rules: imports(...walls('metrics', ['election']), noNest, noClientNode, noMetricsLibrary),
  },
  knowsLibrary('lib/metrics/prometheus.ts', 'prom-client'),
  knowsLibrary('lib/metrics/opentelemetry.ts', '@opentelemetry/api'),
  {
    files: ['lib/testing/**/*.ts'],
    rules: imports(...walls('testing', ['election']), noNest, noClientNode, noMetricsLibrary),
  },
  {
    // A network server, which lives in real time.
    files: ['lib/testing/lease-api-server/**/*.ts'],
    rules: {
      'no-restricted-globals': 'off',
      'no-restricted-properties': 'off',
      'no-restricted-syntax': 'off',
    },
  },
  {
    files: ['lib/nest/**/*.ts'],
    rules: {
      ...imports(...walls('nest', ['election']), noClientNode, noMetricsLibrary),
      'no-restricted-syntax': [...timeAndChance['no-restricted-syntax'], oneDoor],
    },
  },
  {
    // Stands in for the module in tests, so it knows both; only lib/testing.ts lets it out.
    files: ['lib/nest/testing/**/*.ts'],
    rules: imports(...walls('nest', ['election', 'testing']), noClientNode, noMetricsLibrary),
  },
  {
    files: ['lib/nest/kubernetes-connections.ts'],
    rules: { 'no-restricted-syntax': timeAndChance['no-restricted-syntax'] },
  },
  {
    files: ['lib/nest/options/{options-from-environment,lease-names,cluster-options}.ts'],
    rules: imports(...walls('nest', ['election']), noNest, noClientNode, noMetricsLibrary),
  },
  {
    files: ['lib/cli/**/*.ts'],
    rules: {
      ...imports(
        {
          regex: `^(\\.\\./)+(?!(election|kubernetes)/internal\\.js$|${optionFiles}$)(election|kubernetes|nest|metrics|testing)/`,
          message: 'lib/cli may import internal.ts of election and kubernetes, and how options are read.',
        },
        { regex: '^(\\.\\./)+(index|testing)\\.js$', message: 'The entry points are for users.' },
        noNest,
        noClientNode,
        noMetricsLibrary,
      ),
      'max-lines-per-function': ['error', 90],
    },
  },
  { files: ['lib/nest/election-lifecycle.ts'], rules: { 'no-restricted-properties': 'off' } },
  { files: ['lib/*.ts'], rules: imports(noNest, noClientNode, noMetricsLibrary) },
  {
    files: ['lib/kubernetes/kube-config.ts'],
    rules: { 'no-restricted-syntax': timeAndChance['no-restricted-syntax'] },
  },
  { files: ['sample-app/**/*.ts', 'bench/**/*.ts'], rules: imports(onlyEntryPoints) },
  {
    files: ['test/**/*.ts'],
    rules: {
      '@typescript-eslint/no-extraneous-class': 'off',
      // Vitest's matchers in expected objects are typed any.
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/unbound-method': 'off',
    },
  },
  {
    files: ['**/*.mjs'],
    extends: [tseslint.configs.disableTypeChecked],
    languageOptions: { globals: { process: 'readonly', console: 'readonly' } },
  },
);
