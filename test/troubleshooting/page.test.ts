/** docs/troubleshooting.md is complete: an entry for each code, and for each line that is logged as a warning or an error. */
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';
import { leaderErrorCodes } from '../../lib/election/index.js';
import { entries, entryLabels, section } from './troubleshooting-page.js';

const keys = entries().map(({ key }) => key);
const sources = readdirSync('lib', { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts'))
  .map((name) => join('lib', name));

/** Arguments of which the sources do not show the text where they are logged, and what they are. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  problem: 'It is not certain in which container this process runs',
  'error.cause.stack': 'LEADER_LISTENER_FAILED',
};

interface Logged {
  readonly at: string;
  readonly text: string;
}

/** What is logged at level warn or error, with each value that is filled in as `${expression}`. */
const logged: readonly Logged[] = sources.flatMap((path) => {
  const file = ts.createSourceFile(path, readFileSync(path, 'utf8'), ts.ScriptTarget.ESNext, true);
  const found: Logged[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isCallExpression(node) && isLogCall(node) && node.arguments[0] !== undefined) {
      const { line } = file.getLineAndCharacterOfPosition(node.getStart());
      for (const text of textsOf(node.arguments[0], file))
        found.push({ at: `${path}:${String(line + 1)}`, text });
    }
    ts.forEachChild(node, visit);
  };
  visit(file);
  return found;
});

function isLogCall({ expression }: ts.CallExpression): boolean {
  if (!ts.isPropertyAccessExpression(expression)) return false;
  const receiver = expression.expression.getText();
  const name = expression.name.text;
  if (name === '#warn' || name === '#error') return true;
  return (name === 'warn' || name === 'error') && /logger$|#log$|new Logger\(/i.test(receiver);
}

/** The texts that an expression may have. Empty for a parameter: what is passed to it is found at the call. */
function textsOf(expression: ts.Expression, file: ts.SourceFile): string[] {
  if (ts.isStringLiteral(expression) || ts.isNoSubstitutionTemplateLiteral(expression))
    return [expression.text];
  if (ts.isTemplateExpression(expression))
    return [
      expression.head.text +
        expression.templateSpans
          .map((span) => `\${${span.expression.getText()}}${span.literal.text}`)
          .join(''),
    ];
  if (ts.isParenthesizedExpression(expression)) return textsOf(expression.expression, file);
  if (ts.isBinaryExpression(expression))
    return textsOf(expression.left, file).flatMap((left) =>
      textsOf(expression.right, file).map((right) => left + right),
    );
  // The line, or an object with it: the line itself is passed on.
  if (ts.isCallExpression(expression) && expression.expression.getText() === 'this.#shown')
    return textsOf(expression.arguments[0] as ts.Expression, file);
  if (ts.isCallExpression(expression)) return returnedBy(expression.expression.getText(), file);
  if (ts.isNewExpression(expression)) return textsOf(expression.arguments?.[0] as ts.Expression, file);
  const elsewhere = ELSEWHERE[expression.getText()];
  if (elsewhere !== undefined) return [elsewhere];
  const name = expression.getText().replace(/\.message$/, '');
  const declared = declarationOf(name, expression);
  if (declared === undefined) throw new Error(`${file.fileName}: the text of ${name} is not found`);
  return ts.isParameter(declared) || declared.initializer === undefined
    ? []
    : textsOf(declared.initializer, file);
}

function returnedBy(name: string, file: ts.SourceFile): string[] {
  const texts: string[] = [];
  const visit = (node: ts.Node, isInside: boolean): void => {
    const inside = isInside || (ts.isFunctionDeclaration(node) && node.name?.text === name);
    if (inside && ts.isReturnStatement(node) && node.expression !== undefined)
      texts.push(...textsOf(node.expression, file));
    ts.forEachChild(node, (child) => {
      visit(child, inside);
    });
  };
  visit(file, false);
  if (texts.length === 0) throw new Error(`${file.fileName}: the texts of ${name}() are not found`);
  return texts;
}

/** The declaration of `name` in the innermost scope around `at` that has one. */
function declarationOf(
  name: string,
  at: ts.Node,
): ts.VariableDeclaration | ts.ParameterDeclaration | undefined {
  for (
    let scope: ts.Node | undefined = at.parent;
    scope !== undefined;
    scope = scope.parent as ts.Node | undefined
  ) {
    let found: ts.VariableDeclaration | ts.ParameterDeclaration | undefined;
    const visit = (node: ts.Node): void => {
      if ((ts.isVariableDeclaration(node) || ts.isParameter(node)) && node.name.getText() === name)
        found ??= node;
      ts.forEachChild(node, visit);
    };
    visit(scope);
    if (found !== undefined) return found;
  }
  return undefined;
}

describe('docs/troubleshooting.md', () => {
  it('has one entry for each code, and none for another', () => {
    expect(keys.filter((key) => key.startsWith('LEADER_')).sort()).toEqual([...leaderErrorCodes].sort());
  });

  it('has one entry at most for each line of the log', () => {
    expect(new Set(keys).size).toBe(keys.length);
  });

  it('says in each entry what is seen, the cause, where to look, and what to do', () => {
    const others = entries().filter(({ labels }) => labels.join() !== entryLabels.join());
    expect(others.map(({ key, labels }) => `${key}: ${labels.join()}`)).toEqual([]);
  });

  it('has an entry for each line that is logged as a warning or an error', () => {
    // A change of how the log is written must not make this test see nothing.
    expect(logged.length).toBeGreaterThanOrEqual(17);
    const missing = logged.filter(
      // A line with the code of an error is found by the code.
      ({ text }) => !text.includes('.code}') && !keys.some((key) => text.includes(key)),
    );
    expect(missing.map(({ at, text }) => `${at}: ${text}`)).toEqual([]);
  });

  it('has a row for each check of the doctor', () => {
    const checks = sources
      .filter((path) => path.startsWith(join('lib', 'cli', 'doctor')))
      .flatMap((path) => [...readFileSync(path, 'utf8').matchAll(/\bcheck(?: =|:) '([\w ]+)'/g)])
      .map(([, check]) => String(check));
    const rows = [...section('What the doctor says').matchAll(/^\| `([\w ]+)`/gm)].map(([, check]) =>
      String(check),
    );
    expect(new Set(checks).size).toBeGreaterThanOrEqual(8);
    expect([...new Set(checks)].filter((check) => !rows.includes(check))).toEqual([]);
  });

  it('quotes the hint about an answer that may be that of a proxy, at both codes that have it', () => {
    const hint = "not in the API server's format";
    expect(readFileSync('lib/kubernetes/request-errors.ts', 'utf8')).toContain(hint);
    const quoted = entries().filter(({ parts }) => parts['Cause']?.includes(`\`${hint}\``));
    expect(quoted.map(({ key }) => key)).toEqual(['LEADER_FORBIDDEN', 'LEADER_WATCH_DENIED']);
  });

  it('quotes the log as it is written', () => {
    const written = sources
      .map((path) => readFileSync(path, 'utf8').replace(/[`'"] \+\s+[`'"]/g, ''))
      .join('\n')
      .replaceAll("\\'", "'");
    expect(keys.filter((key) => !key.startsWith('LEADER_') && !written.includes(key))).toEqual([]);
  });
});
