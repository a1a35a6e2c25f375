import { useEffect, useRef } from 'preact/hooks';
import { Icon, PlayIcon } from '../components/Icon';
import { p } from '../i18n/playing';
import { formatClock } from '../lib/format';

interface Props {
  position: number;
  duration: number;
  onContinue: () => void;
  onRestart: () => void;
}

export function ResumeDialog({ position, duration, onContinue, onRestart }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  const time = formatClock(position);

  return (
    <dialog
      ref={dialog}
      class="dialog"
      aria-labelledby="resume-title"
      aria-describedby="resume-text"
      data-testid="resume-dialog"
      onCancel={(event) => {
        // Escape loses nothing: playback continues from the saved position.
        event.preventDefault();
        onContinue();
      }}
    >
      <h2 id="resume-title">{p('player.resumeTitle')}</h2>
      <p id="resume-text">{p('player.resumeText', { time, total: formatClock(duration) })}</p>
      <span class="hero-progress" aria-hidden="true">
        <span style={{ width: `${(position / duration) * 100}%` }} />
      </span>
      <div class="dialog-actions">
        <button
          type="button"
          class="button button-primary button-large"
          // biome-ignore lint/a11y/noAutofocus: a modal dialog has to put the focus somewhere
          autoFocus
          data-testid="resume-continue"
          onClick={onContinue}
        >
          <PlayIcon size={18} />
          {p('player.resumeContinue', { time })}
        </button>
        <button type="button" class="button button-large" data-testid="resume-restart" onClick={onRestart}>
          <Icon name="restart" size={18} />
          {p('player.resumeRestart')}
        </button>
      </div>
    </dialog>
  );
}
