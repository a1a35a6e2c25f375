import { useEffect, useRef } from 'preact/hooks';
import { PlayIcon } from '../components/Icon';
import { p } from '../i18n/playing';

/** The question after hours without a sign of a viewer; the film is paused meanwhile. */
export function StillWatching({ onAnswer }: { onAnswer: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog
      ref={dialog}
      class="dialog"
      aria-labelledby="idle-title"
      data-testid="still-watching"
      onClose={onAnswer}
    >
      <h2 id="idle-title">{p('idle.title')}</h2>
      <form method="dialog" class="dialog-actions">
        <button type="submit" class="button button-primary button-large">
          <PlayIcon size={18} />
          {p('idle.continue')}
        </button>
      </form>
    </dialog>
  );
}
