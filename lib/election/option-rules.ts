/** Checks what is given to a function while the application runs: a number that is none must not be reckoned with. */
import { InvalidOptionsError } from './errors.js';
import { fieldsOf, isDuration, kindOf, show } from './option-values.js';

/** Whether a value will do, the rule in words (`it must be …`), and how to show a value that breaks it. */
export type OptionRule = readonly [
  fits: (value: unknown) => boolean,
  rule: string,
  shown?: (value: unknown) => string,
];

/** A number of milliseconds. */
export const DURATION: OptionRule = [isDuration, 'it must be a number of milliseconds, 0 or more'];

/** A text that says something. */
export const TEXT: OptionRule = [
  (value) => typeof value === 'string' && value.trim() !== '',
  'it must be a text that is not empty',
];

/**
 * Checks options against a rule for each. An option that is undefined has its default.
 *
 * @param whose begins the error: `The options of stepDown()`.
 * @throws InvalidOptionsError `LEADER_INVALID_OPTIONS`, one error with every violation; an option without a rule is one,
 * too.
 */
export function refuseInvalid(
  whose: string,
  options: unknown,
  rules: Readonly<Record<string, OptionRule>>,
): void {
  const given = fieldsOf(options, Object.keys(rules));
  const violations =
    given === undefined
      ? [`they are ${kindOf(options)}: they must be an object`]
      : Object.entries(given).flatMap(([name, value]) => violationOf(name, value, rules));
  if (violations.length > 0) throw new InvalidOptionsError(violations, whose);
}

function violationOf(name: string, value: unknown, rules: Readonly<Record<string, OptionRule>>): string[] {
  const known = Object.hasOwn(rules, name) ? rules[name] : undefined;
  if (known === undefined)
    return [`${name}: there is no such option; the options are ${Object.keys(rules).join(', ')}`];
  const [fits, rule, shown = show] = known;
  return value === undefined || fits(value) ? [] : [`${name} is ${shown(value)}: ${rule}`];
}
