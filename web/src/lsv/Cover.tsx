import { Icon } from '../components/Icon';
import type { ProtectedFilm } from './film';
import { noticeOf, sentence } from './sentences';

interface Props {
  film: ProtectedFilm;
  /** Loads the film anew, from another position if there is one. */
  onRetry: (at?: number) => void;
}

/** Why playback has ended, and what to do. */
export function Cover({ film, onRetry }: Props) {
  const notice = noticeOf(film.status.signal.value);
  if (!notice || notice.hint === null) return null;
  const beyond = notice.key === 'damaged-for-good' ? film.beyondDamage : null;
  return (
    <div class="stage-cover lsv-cover" role="alert" data-testid="lsv-cover" data-notice={notice.key}>
      <h2>
        <span aria-hidden="true">{notice.icon} </span>
        {sentence(notice.key)}
      </h2>
      <p>{sentence(notice.hint)}</p>
      <div class="session-actions">
        {notice.key !== 'codec' && (
          <button
            type="button"
            class="button button-primary"
            data-testid="lsv-reload"
            onClick={() => onRetry()}
          >
            <Icon name="restart" size={18} />
            {sentence('reload')}
          </button>
        )}
        {beyond !== null && (
          <button type="button" class="button" data-testid="lsv-skip" onClick={() => onRetry(beyond)}>
            {sentence('skip')}
          </button>
        )}
      </div>
    </div>
  );
}
