import type { ComponentChildren } from 'preact';
import { useEffect, useId, useRef, useState } from 'preact/hooks';
import { t } from '../i18n';
import { ErrorMessage } from './ErrorMessage';

interface Props {
  title: string;
  children: ComponentChildren;
  /** The label of the button that does it. */
  action: string;
  isReady?: boolean;
  onConfirm: () => Promise<void>;
  onClose: () => void;
}

/** Asks before something that can't be undone. Cancel has the focus, and Escape cancels. */
export function ConfirmDialog({ title, children, action, isReady = true, onConfirm, onClose }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  useEffect(() => dialog.current?.showModal(), []);

  const confirm = async () => {
    setBusy(true);
    setError(null);
    try {
      await onConfirm();
      dialog.current?.close();
    } catch (failure) {
      setError(failure);
    } finally {
      setBusy(false);
    }
  };

  return (
    <dialog
      ref={dialog}
      class="dialog"
      aria-labelledby={`${id}-title`}
      aria-describedby={`${id}-text`}
      data-testid="confirm-dialog"
      onClose={onClose}
    >
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (isReady && !isBusy) void confirm();
        }}
      >
        <h2 id={`${id}-title`}>{title}</h2>
        <div id={`${id}-text`}>{children}</div>
        {error !== null && <ErrorMessage error={error} />}
        <div class="dialog-actions">
          <button
            type="submit"
            class="button button-danger"
            disabled={!isReady || isBusy}
            data-testid="confirm-action"
          >
            {action}
          </button>
          <button
            type="button"
            class="button"
            // biome-ignore lint/a11y/noAutofocus: a modal dialog has to put the focus somewhere, and safely
            autoFocus
            onClick={() => dialog.current?.close()}
          >
            {t('common.cancel')}
          </button>
        </div>
      </form>
    </dialog>
  );
}
