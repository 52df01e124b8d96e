import { linesOf } from './lines.js';

/** One server-sent event, as the HTML standard reads them (section 9.2.6). */
export interface ServerSentEvent {
  /** The event's name; empty for one that has no data, such as a heartbeat. */
  event: string;
  data: string;
  /** The id in force: that of this event, or of the last one before that had any. */
  id: string;
  /** For how many milliseconds to wait before coming back, if this event said so. */
  retry: number | undefined;
}

export async function* eventsOf(body: ReadableStream<Uint8Array>): AsyncGenerator<ServerSentEvent, void, void> {
  let id = '';
  let event = '';
  let data: string[] = [];
  let retry: number | undefined;
  for await (const line of linesOf(body)) {
    if (line === '') {
      yield { event: data.length === 0 ? '' : event || 'message', data: data.join('\n'), id, retry };
      event = '';
      data = [];
      retry = undefined;
      continue;
    }
    const colon = line.indexOf(':');
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    switch (field) {
      case 'event':
        event = value;
        break;
      case 'data':
        data.push(value);
        break;
      case 'id':
        if (!value.includes('\0')) id = value;
        break;
      case 'retry':
        if (/^[0-9]+$/.test(value)) retry = Number(value);
        break;
      default: // a comment has an empty field; the standard has the others ignored
    }
  }
}
