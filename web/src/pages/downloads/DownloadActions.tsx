import { useState } from 'preact/hooks';
import { ErrorMessage } from '../../components/ErrorMessage';
import { language } from '../../i18n';
import { formatMoment } from '../../lib/format';
import type { Activity, Downloads } from '../../lsv/offline/downloads';
import type { StoredFilm } from '../../lsv/offline/licences';
import { percentOf } from '../../lsv/offline/statusText';
import { o } from '../../lsv/offline/texts';

interface Props {
  downloads: Downloads;
  film: StoredFilm;
  activity: Activity | null;
  /** Called with what happened, for screen readers too. */
  onSaid: (text: string) => void;
  onRemoved: () => void;
}

/** Pauses, resumes, renews and deletes one download. */
export function DownloadActions({ downloads, film, activity, onSaid, onRemoved }: Props) {
  const [isBusy, setBusy] = useState(false);
  const [problem, setProblem] = useState<unknown>(null);
  const { id, title } = film.video;
  const run = async (task: () => Promise<void>) => {
    setBusy(true);
    setProblem(null);
    try {
      await task();
    } catch (error) {
      setProblem(error);
    } finally {
      setBusy(false);
    }
  };
  const renew = async () => {
    const until = await downloads.renew(id);
    onSaid(
      until === null
        ? o('offline.changed')
        : o('offline.renewed', { date: formatMoment(until, language.value) }),
    );
  };
  const remove = async () => {
    await downloads.remove(id);
    onSaid(o('offline.removed', { title }));
    onRemoved();
  };
  const isMoving = activity !== null && activity.phase !== 'failed';
  const hasCrashed = activity?.phase === 'failed' && activity.why.kind === 'worker';
  const isWhole = film.state === 'complete';
  return (
    <>
      {activity?.phase === 'loading' && (
        <progress value={percentOf(activity.progress)} max={100} aria-label={title} />
      )}
      {isMoving && !isWhole && (
        <button
          type="button"
          class="button"
          data-testid="download-pause"
          onClick={() => void run(() => downloads.pause(id))}
        >
          {o('offline.pause')}
        </button>
      )}
      {!isMoving && !isWhole && (
        <button
          type="button"
          class="button"
          disabled={isBusy}
          data-testid="download-resume"
          onClick={() => void run(() => downloads.resume(id))}
        >
          {o(hasCrashed ? 'offline.again' : 'offline.resume')}
        </button>
      )}
      {isWhole && (
        <button
          type="button"
          class="button"
          disabled={isBusy}
          data-testid="download-renew"
          onClick={() => void run(renew)}
        >
          {o('offline.renew')}
        </button>
      )}
      <button
        type="button"
        class="button button-quiet"
        disabled={isBusy}
        aria-label={o('offline.removeOf', { title })}
        data-testid="download-remove"
        onClick={() => void run(remove)}
      >
        {o('offline.remove')}
      </button>
      {problem !== null && <ErrorMessage error={problem} />}
    </>
  );
}
