import { useEffect, useRef } from 'preact/hooks';

import type { View } from '../model';
import { isRelative } from './range';

/** Calls back every so many seconds while the range ends now, the page is visible and no request is in flight. */
export function useRefresh(every: number, view: View, busy: boolean, refresh: () => void): void {
  const latest = useRef({ busy, refresh });
  latest.current = { busy, refresh };
  const on = every > 0 && isRelative(view.to);
  useEffect(() => {
    if (!on) return;
    const timer = setInterval(() => {
      if (!latest.current.busy && !document.hidden) latest.current.refresh();
    }, every * 1000);
    return () => clearInterval(timer);
  }, [on, every]);
}
