/** docs/troubleshooting.md as its reader uses it: entries, found by a code or by words of a log line. */
import { readFileSync } from 'node:fs';

const LABELS = ['Seen', 'Cause', 'Look', 'Do'] as const;

/** One entry of the page. */
export interface Entry {
  /** A code, or words of a log line. */
  readonly key: string;
  /** The text behind each label, in their order on the page. */
  readonly parts: Readonly<Partial<Record<string, string>>>;
  readonly labels: readonly string[];
}

/** The labels of an entry, in the order that each entry keeps. */
export const entryLabels: readonly string[] = LABELS;

/** All entries, in the order of the page. */
export function entries(): readonly Entry[] {
  const page = readFileSync('docs/troubleshooting.md', 'utf8');
  return page
    .split(/^#{2,3} /m)
    .filter((section) => /^(LEADER_|“)/.test(section))
    .map((section) => {
      const [heading = '', ...lines] = section.split('\n');
      const parts = [
        ...lines.join('\n').matchAll(/^- \*\*(\w+):\*\* ([^]*?)(?=^- \*\*|^$\n(?=\S)|(?![^]))/gm),
      ];
      return {
        key: heading.replace(/^“|”$/g, ''),
        labels: parts.map(([, label]) => String(label)),
        parts: Object.fromEntries(
          parts.map(([, label, text]) => [label, String(text).replace(/\s+/g, ' ').trim()]),
        ),
      };
    });
}

/** The text below a heading of the second level, up to the next one. */
export function section(heading: string): string {
  const sections = readFileSync('docs/troubleshooting.md', 'utf8').split(/^## /m);
  return sections.find((text) => text.startsWith(`${heading}\n`)) ?? '';
}

/** The entries whose code or words are in what was shown. */
export function entriesFor(shown: string): readonly Entry[] {
  return entries().filter(({ key }) => shown.includes(key));
}
