/** `fieldSelector` and `labelSelector`. */
import { goQuote } from './go-quote.js';
import type { LeaseObject } from './lease-object.js';
import { keyViolations, labelValueViolations } from './names.js';
import { badRequest } from './status.js';

/** Whether a Lease is selected. */
export type Selector = (lease: LeaseObject) => boolean;

/** @throws StatusError 400 */
export function parseFieldSelector(text: string): Selector {
  const terms = splitTerms(text).map((term) => parseFieldTerm(term, text));
  return (lease) => terms.every((matches) => matches(lease));
}

/** At commas, unless they are escaped. */
function splitTerms(text: string): string[] {
  return text === '' ? [] : text.split(/(?<!\\),/);
}

function parseFieldTerm(term: string, whole: string): Selector {
  if (term === '') return () => true;
  const match = /^(.*?)(!=|==|=)(.*)$/s.exec(term);
  if (match === null) throw badRequest(`invalid selector: '${whole}'; can't understand '${term}'`);
  const [, field = '', operator, escaped = ''] = match;
  if (field !== 'metadata.name' && field !== 'metadata.namespace') {
    const known = 'only "metadata.name", "metadata.namespace"';
    throw badRequest(`${goQuote(field)} is not a known field selector: ${known}`);
  }
  const value = escaped.replace(/\\([\\,=])/g, '$1');
  const name = field === 'metadata.name' ? 'name' : 'namespace';
  return (lease) => (lease.metadata[name] === value) === (operator !== '!=');
}

/** @throws StatusError 400 */
export function parseLabelSelector(text: string): Selector {
  const requirements = new LabelSelectorParser(text).parse();
  return (lease) => requirements.every((matches) => matches(lease.metadata.labels ?? {}));
}

type Labels = Readonly<Record<string, string>>;
type Requirement = (labels: Labels) => boolean;

const operators = ['in', 'notin', '=', '==', '!=', '>', '<'] as const;
type Operator = (typeof operators)[number];

/** As the server lists them in its complaint. */
const OPERATORS_IN_WORDS = 'in, notin, =, ==, !=, gt, lt';

class LabelSelectorParser {
  readonly #tokens: readonly string[];
  #at = 0;

  constructor(text: string) {
    this.#tokens = text.match(/==|!=|[=!<>(),]|[^\s=!<>(),]+/g) ?? [];
  }

  parse(): Requirement[] {
    const requirements: Requirement[] = [];
    while (this.#at < this.#tokens.length) {
      if (this.#peek() !== '!' && isSymbol(this.#peek())) {
        throw badRequest(`found '${this.#peek()}', expected: !, identifier, or 'end of string'`);
      }
      requirements.push(this.#requirement());
      const next = this.#take();
      if (next === '') break;
      if (next !== ',') throw parseError(`found '${next}', expected: ',' or 'end of string'`);
      if (this.#peek() === '' || (this.#peek() !== '!' && isSymbol(this.#peek()))) {
        throw parseError(`found '${this.#peek()}', expected: identifier after ','`);
      }
    }
    return requirements;
  }

  #requirement(): Requirement {
    const isNegated = this.#peek() === '!' && this.#take() === '!';
    const key = this.#take();
    if (key === '' || isSymbol(key)) throw requirementError(`found '${key}', expected: identifier`);
    const violations = keyViolations(key);
    if (violations.length > 0) {
      throw requirementError(`<nil>: Invalid value: ${goQuote(key)}: ${violations.join('; ')}`);
    }
    if (this.#peek() === '' || this.#peek() === ',')
      return (labels) => Object.hasOwn(labels, key) !== isNegated;
    const operator = this.#take();
    if (!isOperator(operator)) throw requirementError(`found '${operator}', expected: ${OPERATORS_IN_WORDS}`);
    const values = operator === 'in' || operator === 'notin' ? this.#values() : [this.#value()];
    requireValues(key, operator, values);
    return requirementOf(key, operator, values);
  }

  #value(): string {
    if (this.#peek() === '' || this.#peek() === ',') return '';
    const value = this.#take();
    if (isSymbol(value)) throw requirementError(`found '${value}', expected: identifier`);
    return value;
  }

  #values(): string[] {
    const open = this.#take();
    if (open !== '(') throw requirementError(`found '${open}' expected: '('`);
    const values: string[] = [];
    for (;;) {
      const isEmpty = this.#peek() === ',' || this.#peek() === ')';
      const value = isEmpty ? '' : this.#take();
      if (value === '' && !isEmpty) throw requirementError(`found '', expected: ',', ')' or identifier`);
      values.push(value);
      const next = this.#take();
      if (next === ')') return values;
      if (next !== ',') throw requirementError(`found '${next}', expected: ',' or ')'`);
    }
  }

  #peek(): string {
    return this.#tokens[this.#at] ?? '';
  }

  #take(): string {
    const token = this.#peek();
    this.#at += 1;
    return token;
  }
}

function requireValues(key: string, operator: Operator, values: readonly string[]): void {
  for (const value of values) {
    if ((operator === '>' || operator === '<') && !/^-?\d+$/.test(value)) {
      throw requirementError(
        `values[0][${key}]: Invalid value: ${goQuote(value)}: for 'Gt', 'Lt' operators, the value must be an integer`,
      );
    }
    const violations = labelValueViolations(value);
    if (violations.length > 0) {
      throw requirementError(`values[0][${key}]: Invalid value: ${goQuote(value)}: ${violations.join('; ')}`);
    }
  }
}

function requirementOf(key: string, operator: Operator, values: readonly string[]): Requirement {
  switch (operator) {
    case 'in':
    case '=':
    case '==':
      return (labels) => Object.hasOwn(labels, key) && values.includes(String(labels[key]));
    case 'notin':
    case '!=':
      return (labels) => !Object.hasOwn(labels, key) || !values.includes(String(labels[key]));
    case '>':
      return (labels) => Number(labels[key]) > Number(values[0]);
    case '<':
      return (labels) => Number(labels[key]) < Number(values[0]);
  }
}

function isSymbol(token: string): boolean {
  return /^([=!<>(),]|==|!=)$/.test(token);
}

function isOperator(token: string): token is Operator {
  return (operators as readonly string[]).includes(token);
}

function requirementError(message: string): Error {
  return parseError(`unable to parse requirement: ${message}`);
}

function parseError(message: string): Error {
  return badRequest(message);
}
