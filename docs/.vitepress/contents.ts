/** The contents of the site: the pages of docs/ in the order of their index, and the API. */
import { readFileSync } from 'node:fs';
import { posix } from 'node:path';

/** A line of the sidebar, as VitePress takes it. */
export interface Entry {
  text: string;
  link?: string;
  collapsed?: boolean;
  items?: Entry[];
}

/** A line of the contents that typedoc-plugin-markdown writes. */
export interface ApiEntry {
  title: string;
  path?: string;
  children?: ApiEntry[];
}

/** A group for each heading of an index, with the first link of each item. */
export function contentsOf(index: string, folder: string): Entry[] {
  const groups: Entry[] = [];
  for (const line of index.split('\n')) {
    const heading = /^## (.*)$/.exec(line)?.[1];
    if (heading !== undefined) groups.push({ text: heading, items: [] });
    const [, text, page] = /^- \[(.*?)\]\((.*?)\.md\)/.exec(line) ?? [];
    if (text === undefined || page === undefined) continue;
    groups.at(-1)?.items?.push({ text: text.replaceAll('`', ''), link: `/${posix.join(folder, page)}` });
  }
  return groups;
}

/** The first heading of a page in the repository. */
export function titleOf(page: string): string {
  const title = /^# (.*)$/m.exec(readFileSync(page, 'utf8'))?.[1];
  if (title === undefined) throw new Error(`${page} has no title: it must begin with a line "# …".`);
  return title;
}

/** The entry points with their members by kind, in the folder `/api/`. */
export function contentsOfApi(entries: readonly ApiEntry[], page = ''): Entry[] {
  return entries.map(({ title, path, children }) => {
    // A kind has no page, but a heading in that of its entry point.
    const link =
      path === undefined ? `${page}#${title.toLowerCase().replaceAll(' ', '-')}` : `/api/${pageOf(path)}`;
    return {
      // A long name is broken before its last part.
      text: title.replace('/', '/<wbr>'),
      link,
      ...(children === undefined ? {} : { collapsed: true, items: contentsOfApi(children, link) }),
    };
  });
}

function pageOf(path: string): string {
  return path.replace(/(index)?\.md$/, '');
}
