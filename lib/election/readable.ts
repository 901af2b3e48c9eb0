/** Texts that others chose, such as a holder's identity, as people are shown them. */

/** How many characters of such a text are shown, and so how many an own identity may have. */
export const LONGEST_READABLE = 300;

/** What moves the cursor, changes the order of what is read, or cannot be seen or sent: controls, formats, halves of pairs, line ends. */
const unreadable = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

/**
 * A text of others for a log line, a page or an answer: what cannot be read in it is escaped (`\u000a` for a line feed), and it is cut at 300
 * characters. Any other text is as it was.
 */
export function readable(text: string): string {
  const escaped = text.slice(0, LONGEST_READABLE + 1).replace(unreadable, escape);
  if (text.length <= LONGEST_READABLE && escaped.length <= LONGEST_READABLE) return escaped;
  return `${escaped.slice(0, LONGEST_READABLE).replace(unreadable, escape)}…`;
}

/** Whether it is shown as it is. */
export function isReadable(text: string): boolean {
  return readable(text) === text;
}

function escape(character: string): string {
  const code = (character.codePointAt(0) ?? 0).toString(16);
  return code.length > 4 ? `\\u{${code}}` : `\\u${code.padStart(4, '0')}`;
}
