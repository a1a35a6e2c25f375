import { useState } from 'preact/hooks';
import type { VideoDetail } from '../../api/types';
import { ErrorMessage } from '../../components/ErrorMessage';
import { downloadsOfViewer } from '../../lsv/offline';
import { judge } from '../../lsv/offline/clock';
import type { Downloads } from '../../lsv/offline/downloads';
import { termOf } from '../../lsv/offline/licences';
import { statusText, termText } from '../../lsv/offline/statusText';
import { o } from '../../lsv/offline/texts';
import { DownloadActions } from '../downloads/DownloadActions';

/** Downloads the film of the page, and says how far it is. */
export function DownloadPanel({ video }: { video: VideoDetail }) {
  const downloads = downloadsOfViewer();
  if (!downloads) return <p class="quiet">{`${o('offline.wrongBrowser')} ${o('selfTest.store-key')}`}</p>;
  return <Panel downloads={downloads} video={video} />;
}

function Panel({ downloads, video }: { downloads: Downloads; video: VideoDetail }) {
  const [said, setSaid] = useState('');
  const film = downloads.films.value?.find((each) => each.video.id === video.id) ?? null;
  const activity = downloads.activities.value.get(video.id) ?? null;
  const status = statusText(film, activity);
  const isMoving = activity !== null && activity.phase !== 'failed';
  return (
    <div class="download-panel" data-testid="download-panel" data-state={film?.state ?? 'none'}>
      {!film && (
        <button
          type="button"
          class="button"
          disabled={isMoving || downloads.films.value === null}
          data-testid="download-start"
          onClick={() => void downloads.start(video)}
        >
          {o('offline.download')}
        </button>
      )}
      {film && (
        <DownloadActions
          downloads={downloads}
          film={film}
          activity={activity}
          onSaid={setSaid}
          onRemoved={() => undefined}
        />
      )}
      {activity?.phase === 'failed' ? (
        <ErrorMessage error={status ?? ''} />
      ) : (
        <p class="quiet" role="status" data-testid="download-status">
          {said || status}
          {film?.state === 'complete' && !said && (
            <> · {termText(film, judge(termOf(film.licence), 0, Date.now() / 1000))}</>
          )}
        </p>
      )}
    </div>
  );
}
