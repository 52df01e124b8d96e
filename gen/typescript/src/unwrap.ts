import { LogfenceError } from './failure.js';
import type { Result } from './result.js';

/**
 * The data of a result; an error is thrown as a {@link LogfenceError}. For libraries that learn of an error by a promise
 * that rejects, such as TanStack Query and SWR: the promises of a client never do.
 */
export async function unwrap<T>(result: Result<T> | Promise<Result<T>>): Promise<T> {
  const { data, error } = await result;
  if (error) throw new LogfenceError(error);
  return data;
}
