// What a query would read, before it is run.
import type { Me, ReadEstimate } from '@logfence/client';

import type { Client, Span, View } from '../model';
import { readsAll } from '../query/logql';

/** A query that reads more than so many bytes is run with the user's consent alone. */
const much = 2 ** 30;

/** What a query reads, as Loki's index has it; undefined where it stops at its limit of lines, or nothing is known. */
export async function estimateOf(
  client: Client,
  { query, span }: { query: string; span: Span },
  signal: AbortSignal,
): Promise<ReadEstimate | undefined> {
  if (!readsAll(query)) return undefined;
  const { data } = await client.explainQuery({ query, ...span }, { signal });
  return data?.valid ? data.estimate : undefined; // what is wrong with the query, its run will say
}

/** Whether the user is to consent first. What is beyond the tenant's limit is refused, and costs nothing. */
export function isExpensive({ bytes }: ReadEstimate, { max_query_bytes_read: limit }: Pick<Me['limits'], 'max_query_bytes_read'>): boolean {
  return bytes > Math.min(much, limit / 2) && bytes <= limit;
}

/** What consent is given for: the query over its range. */
export function keyOf({ query, from, to, tenant }: View): string {
  return JSON.stringify([query, from, to, tenant]);
}
