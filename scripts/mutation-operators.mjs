/**
 * Finds the mutants of a TypeScript source, for scripts/mutation.mjs, and writes all of them into one text: `a < b` becomes
 * `(__in(7,8)?(__is(7)?(a <= b):(a >= b)):(a < b))`, and `__in` and `__is` answer whether one of these is the active mutant.
 */
import ts from 'typescript';

const { SyntaxKind: Kind } = ts;

/** What each operator token may become. */
const SWAPS = new Map([
  [Kind.LessThanToken, ['<=', '>=']],
  [Kind.LessThanEqualsToken, ['<', '>']],
  [Kind.GreaterThanToken, ['>=', '<=']],
  [Kind.GreaterThanEqualsToken, ['>', '<']],
  [Kind.EqualsEqualsEqualsToken, ['!==']],
  [Kind.ExclamationEqualsEqualsToken, ['===']],
  [Kind.AmpersandAmpersandToken, ['||']],
  [Kind.BarBarToken, ['&&']],
  [Kind.PlusToken, ['-']],
  [Kind.MinusToken, ['+']],
  [Kind.AsteriskToken, ['/']],
  [Kind.SlashToken, ['*']],
  [Kind.PercentToken, ['*']],
  [Kind.PlusEqualsToken, ['-=']],
  [Kind.MinusEqualsToken, ['+=']],
]);
/** Comparisons and their combinations, which are true or false. */
const TRUTHS = new Set([...SWAPS.keys()].slice(0, 8));
/** Functions that are mistaken for each other. */
const TWINS = new Map(
  [
    ['min', 'max'],
    ['earlier', 'later'],
    ['some', 'every'],
  ].flatMap(([one, other]) => [
    [one, other],
    [other, one],
  ]),
);

/**
 * The mutants of a source, and the source with all of them.
 *
 * @param {string} path the path that the mutants are listed with
 * @param {string} source
 * @param {number} firstId the ids count from this
 */
export function mutate(path, source, firstId) {
  const file = ts.createSourceFile(path, source, ts.ScriptTarget.Latest, true);
  /** Mutants by the node that they replace: `statement` may be removed, the others are expressions. */
  const byNode = new Map();

  const add = (node, operator, text, of = node) => {
    const start = of.getStart(file);
    const { line } = file.getLineAndCharacterOfPosition(start);
    const mutant = {
      path,
      line: line + 1,
      code: lineOf(source, start),
      part: shortened(of.getText(file)),
      operator,
      becomes: shortened(text),
      text,
    };
    byNode.set(node, [...(byNode.get(node) ?? []), mutant]);
  };
  /** The text of `node`, with a part of it replaced. */
  const withPart = (node, from, to, text) =>
    source.slice(node.getStart(file), from) + text + source.slice(to, node.getEnd());

  const isTest = (node) => {
    const { parent } = node;
    if (ts.isIfStatement(parent)) return parent.expression === node;
    if (ts.isConditionalExpression(parent)) return parent.condition === node;
    return false;
  };
  const isLoopTest = ({ parent }, node) =>
    (ts.isWhileStatement(parent) && parent.expression === node) ||
    (ts.isForStatement(parent) && parent.condition === node);

  function findInBinary(node) {
    const { operatorToken: operator, left, right } = node;
    if (operator.kind === Kind.QuestionQuestionToken) {
      add(node, '??', left.getText(file));
      add(node, '??', right.getText(file));
      return;
    }
    if (/^[+-]/.test(operator.getText(file)) && [left, right].some(isText)) return;
    for (const text of SWAPS.get(operator.kind) ?? []) {
      add(node, operator.getText(file), withPart(node, operator.getStart(file), operator.getEnd(), text));
    }
    if (TRUTHS.has(operator.kind) && !isTest(node) && !isLoopTest(node, node)) {
      add(node, 'condition', 'true');
      add(node, 'condition', 'false');
    }
  }

  function findInCall(node) {
    const name = ts.isPropertyAccessExpression(node.expression) ? node.expression.name : node.expression;
    const twin = ts.isIdentifier(name) ? TWINS.get(name.text) : undefined;
    if (twin !== undefined) add(node, name.text, withPart(node, name.getStart(file), name.getEnd(), twin));
    if (
      ts.isPropertyAccessExpression(node.expression) &&
      ['filter', 'slice', 'toSorted'].includes(name.text)
    ) {
      add(node, `no ${name.text}`, node.expression.expression.getText(file));
    }
  }

  /** State is written as `{ ...state, field: value }`: the field keeps its old value. */
  function findInObject(node) {
    if (!ts.isSpreadAssignment(node.properties[0] ?? node)) return;
    for (const property of node.properties.slice(1)) {
      let end = property.getEnd();
      if (source[end] === ',') end += 1;
      add(node, 'no property', withPart(node, property.getStart(file), end, ''), property);
    }
  }

  /** All links of a chain `a?.b?.c` short-circuit together, so the whole chain is replaced. */
  function findInChain(node) {
    if (ts.isOptionalChain(node.parent) && node.parent.expression === node) return;
    if (ts.isNonNullExpression(node.parent)) return;
    for (let link = node; ts.isOptionalChain(link); link = link.expression) {
      const token = link.questionDotToken;
      if (token === undefined) continue;
      const text = ts.isPropertyAccessChain(link) ? '.' : '';
      add(node, '?.', withPart(node, token.getStart(file), token.getEnd(), text));
    }
  }

  function findIn(node) {
    if (isTest(node)) {
      add(node, 'condition', 'true');
      add(node, 'condition', 'false');
    } else if (isLoopTest(node, node)) add(node, 'condition', 'false');
    if (ts.isBinaryExpression(node)) findInBinary(node);
    if (
      ts.isPrefixUnaryExpression(node) &&
      [Kind.ExclamationToken, Kind.MinusToken].includes(node.operator)
    ) {
      add(node, ts.tokenToString(node.operator), node.operand.getText(file));
    }
    if (node.kind === Kind.TrueKeyword && !isDemanded(node)) add(node, 'literal', 'false');
    if (node.kind === Kind.FalseKeyword) add(node, 'literal', 'true');
    if (ts.isStringLiteral(node) && isMeaningful(node)) add(node, 'literal', "''");
    if (ts.isArrayLiteralExpression(node) && node.elements.length > 0) add(node, 'literal', '[]');
    if (ts.isCallExpression(node)) findInCall(node);
    if (ts.isObjectLiteralExpression(node)) findInObject(node);
    if (ts.isOptionalChain(node)) findInChain(node);
    if (ts.isExpressionStatement(node) && !node.getText(file).startsWith('super(')) {
      add(node, 'no statement', '');
    }
    if (ts.isThrowStatement(node)) add(node, 'no statement', '');
    const result = resultOf(node);
    if (result !== undefined) add(result, 'result', 'undefined');
  }

  function resultOf(node) {
    const result =
      ts.isReturnStatement(node) || (ts.isArrowFunction(node) && !ts.isBlock(node.body))
        ? (node.expression ?? node.body)
        : undefined;
    if (result === undefined || result.getText(file) === 'undefined') return undefined;
    // 'true' and 'false' are tried for these, which is more.
    if (ts.isBinaryExpression(result) && TRUTHS.has(result.operatorToken.kind)) return undefined;
    return [Kind.TrueKeyword, Kind.FalseKeyword].includes(result.kind) ? undefined : result;
  }

  const visit = (node) => {
    if (ts.isTypeNode(node) && !ts.isExpressionWithTypeArguments(node)) return;
    if (ts.isInterfaceDeclaration(node) || ts.isTypeAliasDeclaration(node)) return;
    if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) return;
    findIn(node);
    if (ts.isBinaryExpression(node) && isAssignment(node)) return void visit(node.right);
    if (ts.isDeleteExpression(node) || ts.isTypeOfExpression(node) || ts.isPostfixUnaryExpression(node))
      return;
    ts.forEachChild(node, visit);
  };
  ts.forEachChild(file, visit);
  // Those of one node have consecutive ids.
  const mutants = [...byNode.values()].flat();
  for (const [index, mutant] of mutants.entries()) mutant.id = firstId + index;

  /** The source of `node`, with its mutants. */
  const print = (node) => {
    let text = '';
    let at = node.getStart(file);
    const append = (child) => {
      text += source.slice(at, child.getStart(file)) + print(child);
      at = child.getEnd();
    };
    ts.forEachChild(node, append);
    text += source.slice(at, node.getEnd());
    const own = byNode.get(node) ?? [];
    if (own.length === 0) return text;
    const [first, last] = [own[0], own.at(-1)];
    const range = `${first.id},${last.id}`;
    if (first.operator === 'no statement') return `{if(!__in(${range})){${text}}}`;
    const others = own.slice(0, -1).map(({ id, text: mutated }) => `__is(${id})?(${mutated}):`);
    return `(__in(${range})?(${others.join('')}(${last.text})):(${text}))`;
  };
  return { mutants, text: mutants.length === 0 ? source : print(file) };
}

function isAssignment({ operatorToken: { kind } }) {
  return kind >= Kind.FirstAssignment && kind <= Kind.LastAssignment;
}

/** A value that the compiler demands, as in `{ a: true, b: true } satisfies Record<Name, true>`, is no mistake that compiles. */
function isDemanded({ parent }) {
  return ts.isPropertyAssignment(parent) && ts.isSatisfiesExpression(parent.parent.parent);
}

/** Texts for people have spaces; what a text is compared with is covered by the comparison. */
function isMeaningful(node) {
  const { parent } = node;
  if (node.text === '' || node.text.includes(' ')) return false;
  if (ts.isCaseClause(parent) || (ts.isPropertyName(node) && parent.name === node)) return false;
  if (ts.isBinaryExpression(parent) && TRUTHS.has(parent.operatorToken.kind)) return false;
  return !ts.isElementAccessExpression(parent);
}

function isText(node) {
  return (
    ts.isStringLiteral(node) || ts.isTemplateExpression(node) || ts.isNoSubstitutionTemplateLiteral(node)
  );
}

function lineOf(source, position) {
  const from = source.lastIndexOf('\n', position - 1) + 1;
  const to = source.indexOf('\n', position);
  return source.slice(from, to < 0 ? undefined : to).trim();
}

function shortened(text) {
  const one = text.replace(/\s+/g, ' ');
  return one.length > 100 ? `${one.slice(0, 99)}…` : one;
}
