import { useMemo } from 'preact/hooks';

import type { Line } from '../model';
import { linksOf, ruleOf, type LinkRule } from './links';

/** Where a line leads by the operator's rules. */
export function LinkList({ line }: { line: Line }) {
  const links = useMemo(() => linksOf(line, rules()), [line]);
  if (links.length === 0) return null;
  return (
    <ul class="r-links" aria-label="Links">
      {links.map(({ href, text, host }) => (
        <li key={href}>
          <a href={href} target="_blank" rel="noopener noreferrer" referrerpolicy="no-referrer">
            <bdi>{text}</bdi> at {host}
          </a>
        </li>
      ))}
    </ul>
  );
}

let known: LinkRule[] | undefined;

/** The rules that the server has put into the page. */
function rules(): LinkRule[] {
  known ??= read();
  return known;
}

function read(): LinkRule[] {
  const told: unknown = JSON.parse(document.querySelector<HTMLMetaElement>('meta[name=logfence]')?.content ?? '{}');
  const links: unknown = typeof told === 'object' && told !== null ? Reflect.get(told, 'links') : undefined;
  if (!Array.isArray(links)) return [];
  return links.flatMap((rule: unknown) => (typeof rule === 'string' ? (ruleOf(rule) ?? []) : []));
}
