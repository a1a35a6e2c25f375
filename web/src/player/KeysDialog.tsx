import { useEffect, useRef } from 'preact/hooks';
import { t } from '../i18n';
import { p } from '../i18n/playing';
import { KEYS } from './hotkeys';

/** The list of the player's keys. */
export function KeysDialog({ onClose }: { onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog
      ref={dialog}
      class="dialog"
      aria-labelledby="keys-title"
      data-testid="keys-dialog"
      onClose={onClose}
      onKeyDown={(event) => {
        if (event.key === '?') dialog.current?.close();
      }}
    >
      <h2 id="keys-title">{p('keys.title')}</h2>
      <dl class="keys">
        {KEYS.map(([keys, message]) => (
          <div key={message}>
            <dt>
              {keys.map((key) => (
                <kbd key={key}>{key}</kbd>
              ))}
            </dt>
            <dd>{p(message)}</dd>
          </div>
        ))}
      </dl>
      <form method="dialog" class="dialog-actions">
        <button type="submit" class="button">
          {t('common.close')}
        </button>
      </form>
    </dialog>
  );
}
