import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Recording } from './recording.js';

/**
 * The page as one HTML document that loads nothing else. With a recording it shows that, also when it is opened as a file. Without
 * one it asks the demo that serves it.
 */
export function pageDocument(recording?: Recording): string {
  const style = partOfPage('page.css');
  // The compiler's marks are not needed in a document.
  const script = partOfPage('page.js').replace(/^export \{\};\n|^\/\/# sourceMappingURL.*\n?/gm, '');
  // Only this script and this style are permitted, and requests only to where the page comes from.
  const policy = [
    "default-src 'none'",
    `script-src '${hashOf(script)}'`,
    `style-src '${hashOf(style)}'`,
    "connect-src 'self'",
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'",
  ].join('; ');
  // A `<` could end the script element.
  const data = recording === undefined ? 'null' : JSON.stringify(recording).replaceAll('<', '\\u003c');
  const parts: Readonly<Record<string, string>> = {
    POLICY: policy,
    TITLE: escapeHtml(recording?.title ?? 'nestjs-leader: the demo'),
    '<!-- style -->': `<style>${style}</style>`,
    '<!-- recording -->': `<script type="application/json" id="recording">${data}</script>`,
    '<!-- script -->': `<script type="module">${script}</script>`,
  };
  return partOfPage('page.html').replace(/POLICY|TITLE|<!-- \w+ -->/g, (name) => parts[name] ?? name);
}

function partOfPage(name: string): string {
  return readFileSync(new URL(name, import.meta.url), 'utf8');
}

function hashOf(text: string): string {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`;
}

function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}
