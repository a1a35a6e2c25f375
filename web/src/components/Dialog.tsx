import type { ComponentChildren } from 'preact';
import { useId, useLayoutEffect, useRef } from 'preact/hooks';

interface Props {
  title: string;
  onClose: () => void;
  children: ComponentChildren;
  /** For tables and long texts. */
  wide?: boolean;
  testId?: string;
}

/** A modal dialog, open while it is rendered. Escape closes it, and what had the focus gets it back. */
export function Dialog({ title, onClose, children, wide = false, testId }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  const isGone = useRef(false);
  const id = useId();
  useLayoutEffect(() => {
    const shown = dialog.current;
    const opener = document.activeElement;
    shown?.showModal();
    return () => {
      isGone.current = true;
      shown?.close();
      // A dialog that is removed rather than closed takes the focus with it.
      const isLost = document.activeElement === document.body || shown?.contains(document.activeElement);
      if (isLost && opener instanceof HTMLElement) opener.focus();
    };
  }, []);
  return (
    <dialog
      ref={dialog}
      class={wide ? 'dialog dialog-wide' : 'dialog'}
      aria-labelledby={id}
      data-testid={testId}
      onClose={(event) => {
        // An event of an inner element, or of a dialog that is closed because it is no longer rendered.
        if (event.target === event.currentTarget && !isGone.current) onClose();
      }}
    >
      <h2 id={id}>{title}</h2>
      {children}
    </dialog>
  );
}
