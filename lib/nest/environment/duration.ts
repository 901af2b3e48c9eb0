const MS_PER_UNIT: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

const duration = /^(?:\d+(?:\.\d+)?(?:ms|s|m|h))+$/;
const part = /(\d+(?:\.\d+)?)(ms|s|m|h)/g;

/**
 * Reads a duration as Go prints it, such as `15s`, `1m30s`, `1.5h` and `500ms`. Returns milliseconds, or undefined if `text` is not a
 * duration. As in Go a number needs a unit, except 0.
 */
export function parseDuration(text: string): number | undefined {
  if (text === '0') return 0;
  if (!duration.test(text)) return undefined;
  return [...text.matchAll(part)].reduce(
    (sum, [, number, unit]) => sum + Number(number) * (MS_PER_UNIT[String(unit)] ?? 0),
    0,
  );
}
