import type { ComponentType, VNode } from 'preact';
import { useEffect, useState } from 'preact/hooks';

/** A component in a file of its own, which is loaded when it is shown first; until then something else is shown. */
export function lazily<P extends object>(load: () => Promise<ComponentType<P>>, until: VNode): ComponentType<P> {
  let loaded: ComponentType<P> | undefined;
  return function Lazy(props: P) {
    const [Loaded, set] = useState<ComponentType<P> | undefined>(() => loaded);
    const [failed, setFailed] = useState(false);
    useEffect(() => {
      if (Loaded) return;
      load().then(
        (component) => {
          loaded = component;
          set(() => component);
        },
        () => setFailed(true),
      );
    }, []);
    if (Loaded) return <Loaded {...props} />;
    return failed ? <p class="r-note">A part of this page could not be loaded. Reload the page.</p> : until;
  };
}
