/**
 * The lines of a text in UTF-8, each ended by a line feed, with or without a carriage return before it: the
 * only ends that logfence writes. What comes after the last end is no line, and is not given.
 */
export async function* linesOf(body: ReadableStream<Uint8Array>): AsyncGenerator<string, void, void> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = '';
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      let from = 0;
      let searchFrom = rest.length; // there is no end in what has been searched before
      rest += decoder.decode(value, { stream: true });
      for (;;) {
        const end = rest.indexOf('\n', searchFrom);
        if (end < 0) break;
        yield rest.slice(from, rest[end - 1] === '\r' && end > from ? end - 1 : end);
        from = searchFrom = end + 1;
      }
      rest = rest.slice(from);
    }
  } finally {
    // A caller that stops reading ends the request; after its end this does nothing.
    await reader.cancel().catch(() => undefined);
    reader.releaseLock();
  }
}
