/** Links of the built site: each must lead to a file of it, and to a heading that is there. */
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join, posix } from 'node:path';

/**
 * The links in the HTML files of a folder that lead nowhere, as `page: link`. Links to other sites are left out.
 *
 * @param base the path under which the folder will be served
 */
export function deadLinks(folder: string, base: string): string[] {
  const pages = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) =>
    file.endsWith('.html'),
  );
  const texts = new Map(pages.map((page) => [page, readFileSync(join(folder, page), 'utf8')]));
  const anchors = new Map([...texts].map(([page, text]) => [page, valuesOf(text, 'id')]));
  const dead: string[] = [];
  for (const [page, text] of texts)
    for (const link of [...valuesOf(text, 'href'), ...valuesOf(text, 'src')]) {
      if (/^[a-z]+:|^\/\//.test(link)) continue;
      const { pathname, hash } = new URL(link, `http://site${posix.join(base, page)}`);
      const file = posix.join(decodeURIComponent(pathname), pathname.endsWith('/') ? 'index.html' : '');
      const target = file.slice(base.length);
      const exists = file.startsWith(base) && existsSync(join(folder, target));
      const anchor = decodeURIComponent(hash.slice(1));
      if (!exists || (anchor !== '' && anchors.get(target)?.has(anchor) === false))
        dead.push(`${page}: ${link}`);
    }
  return dead;
}

function valuesOf(html: string, attribute: string): Set<string> {
  const values = html.matchAll(new RegExp(`<[^>]*? ${attribute}="([^"]*)"`, 'g'));
  return new Set([...values].map(([, value]) => String(value).replaceAll('&amp;', '&')));
}
