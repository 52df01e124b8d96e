import type { RefObject } from 'preact';
import { useEffect, useRef } from 'preact/hooks';

export interface Popover {
  /** Of what the button and the popover are in. */
  box: RefObject<HTMLDivElement>;
  button: RefObject<HTMLButtonElement>;
  /** Closes, and gives the focus back to the button. */
  close: () => void;
  onKeyDown: (event: KeyboardEvent) => void;
}

/** What opens under a button: Escape closes it, and so does a click elsewhere. */
export function usePopover(open: boolean, onOpen: (open: boolean) => void): Popover {
  const box = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    if (!open) return;
    const outside = (e: Event): void => void (box.current?.contains(e.target as Node) || onOpen(false));
    document.addEventListener('pointerdown', outside);
    return () => document.removeEventListener('pointerdown', outside);
  }, [open]);
  const close = (): void => {
    onOpen(false);
    button.current?.focus();
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    if (!open || event.key !== 'Escape') return;
    event.stopPropagation();
    close();
  };
  return { box, button, close, onKeyDown };
}
