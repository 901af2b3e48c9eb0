/** What Kubernetes lets labels and names be. */
import { fieldsOf, show } from './option-values.js';

const subdomain = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const labelValue = /^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$/;

/** Whether it is an RFC 1123 subdomain of at most 253 characters. */
export function isSubdomain(name: string): boolean {
  return name.length <= 253 && subdomain.test(name);
}

/** What is wrong with the labels that an option of that name holds. */
export function labelViolations(option: string, labels: unknown): string[] {
  const fields = fieldsOf(labels);
  if (fields === undefined) {
    return [`${option} is ${show(labels)}: it must be an object of label names and values`];
  }
  const violations: string[] = [];
  for (const [key, value] of Object.entries(fields)) {
    const [name = '', prefix] = key.split('/').reverse();
    const keyFits =
      key.split('/').length <= 2 &&
      name !== '' &&
      name.length <= 63 &&
      labelValue.test(name) &&
      (prefix === undefined || isSubdomain(prefix));
    if (!keyFits) violations.push(`${option} has the key ${show(key)}: it must be a Kubernetes label name`);
    if (typeof value !== 'string' || value.length > 63 || !labelValue.test(value)) {
      violations.push(`${option}[${show(key)}] is ${show(value)}: it must be a Kubernetes label value`);
    }
  }
  return violations;
}
