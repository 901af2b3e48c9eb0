import 'reflect-metadata';

/** The metadata key of a method's gate. By prototype and name, because a decorator above the gate may replace the function. */
export const GATE = Symbol.for('nestjs-leader.gate');

/** Registers a gate of a method, outside the gates that it has. */
export function markGated(prototype: object, key: string | symbol, gate: object): void {
  Reflect.defineMetadata(GATE, gate, prototype, key);
}

/** The outermost gate of a method, also of an inherited one; undefined for a method that overrides a gated one and has no gate. */
export function gateOn(prototype: object, key: string | symbol): object | undefined {
  let owner: object | null = prototype;
  while (owner !== null && !Object.hasOwn(owner, key)) owner = Object.getPrototypeOf(owner) as object | null;
  return owner === null ? undefined : gateOf(owner, key);
}

/** The outermost gate of a method that the class itself declares. */
export function gateOf(prototype: object, key: string | symbol): object | undefined {
  return Reflect.getOwnMetadata(GATE, prototype, key) as object | undefined;
}
