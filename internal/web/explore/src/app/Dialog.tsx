import type { ComponentChildren } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';

export interface DialogProps {
  title: string;
  onClose: () => void;
  children: ComponentChildren;
  class?: string;
}

/** A modal dialog: the browser's own, which keeps the focus, and gives it back. */
export function Dialog({ title, onClose, children, class: more = '' }: DialogProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  // In the same moment as it is drawn: keys that follow at once are meant for it.
  useLayoutEffect(() => {
    const open = dialog.current;
    open?.showModal();
    return () => open?.close();
  }, []);
  return (
    <dialog
      ref={dialog}
      class={`a-dialog ${more}`}
      aria-label={title}
      onCancel={(e) => {
        e.preventDefault();
        onClose();
      }}
      onClick={(e) => e.target === e.currentTarget && onClose()}
    >
      <div class="a-dialog-in">
        <header>
          <h2>{title}</h2>
          <button type="button" class="a-icon" aria-label="Close" onClick={onClose}>
            ✕
          </button>
        </header>
        {children}
      </div>
    </dialog>
  );
}
