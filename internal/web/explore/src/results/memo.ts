import { Component, h, type ComponentType, type FunctionComponent } from 'preact';
import { useCallback, useRef } from 'preact/hooks';

/** The component, rendered again only when one of its properties is another than before. */
export function memo<P extends object>(inner: FunctionComponent<P>): ComponentType<P> {
  return class extends Component<P> {
    override shouldComponentUpdate(next: P): boolean {
      const now: P = this.props;
      const names = Object.keys(next) as (keyof P)[];
      return names.length !== Object.keys(now).length || names.some((name) => next[name] !== now[name]);
    }

    override render() {
      return h(inner, this.props as P);
    }
  };
}

/** The function as it was given last, as one that stays the same: what it is passed to need not be drawn again. */
export function useStable<A extends unknown[], R>(now: (...args: A) => R): (...args: A) => R {
  const latest = useRef(now);
  latest.current = now;
  return useCallback((...args: A) => latest.current(...args), []);
}
