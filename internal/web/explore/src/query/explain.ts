import { useEffect, useState } from 'preact/hooks';

import type { Client, Mistake, Place } from '../model';
import { inWords } from './place';

export interface Explained {
  /** Missing where the mistake is one of the whole. */
  place: Place | undefined;
  text: string;
}

/** How long nothing is written before it is looked at. */
const pause = 400;

/**
 * The error of a query while it is being written, from the server's own parser, once the text has changed and the user
 * pauses. The error of a run stands until the text changes. Without a response from the server no error is shown:
 * running the query will show it.
 */
export function useExplained(value: string, client: Client, mistake: Mistake | undefined): Explained | undefined {
  const [told, setTold] = useState<{ value: string; about: Explained | undefined }>();
  const [first] = useState(value);
  const [ran, setRan] = useState<{ value: string; mistake: Mistake }>();
  // Not by identity: it may be told anew with each rendering, whatever the value has become since.
  useEffect(() => setRan(mistake && { value, mistake }), [JSON.stringify(mistake)]);
  useEffect(() => {
    const known = value === first && !told; // what was there at the beginning has been written by somebody before
    if (known || told?.value === value || value.trim() === '') return undefined;
    const aborter = new AbortController();
    const timer = setTimeout(() => {
      void client.explainQuery({ query: value }, { signal: aborter.signal }).then(({ data, error }) => {
        if (aborter.signal.aborted) return;
        if (data) setTold({ value, about: data.valid ? undefined : explained(data.error) });
        else if (error.status === 422) setTold({ value, about: { place: undefined, text: error.detail } });
      });
    }, pause);
    return () => {
      clearTimeout(timer);
      aborter.abort();
    };
  }, [value, client]);
  if (ran?.value === value) return { place: ran.mistake.place, text: inWords(ran.mistake.text) };
  return told?.value === value ? told.about : undefined;
}

function explained({ message, hint, line, column }: { message: string; hint?: string; line?: number; column?: number }): Explained {
  const place = line !== undefined && column !== undefined ? { line, column } : undefined;
  return { place, text: [inWords(message), hint].filter(Boolean).join(' ') };
}
