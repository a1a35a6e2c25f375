import { useEffect, useRef, useState } from 'preact/hooks';
import { Icon } from '../components/Icon';
import { LibraryNav } from '../components/LibraryNav';
import { focusAfterRemoval, MediaRow, MediaSkeletons } from '../components/MediaRow';
import { PageHeading } from '../components/PageHeading';
import { v } from '../i18n/viewer';
import { formatClock } from '../lib/format';
import { usePageTitle } from '../lib/hooks';
import { downloadsOfViewer, tidyDownloads } from '../lsv/offline';
import { judge } from '../lsv/offline/clock';
import type { Downloads } from '../lsv/offline/downloads';
import { type StoredFilm, termOf } from '../lsv/offline/licences';
import { statusText, termText } from '../lsv/offline/statusText';
import { o } from '../lsv/offline/texts';
import { session } from '../session/session';
import { DownloadActions } from './downloads/DownloadActions';

/** The films that are in this browser, for watching without a network. */
export default function DownloadsPage() {
  usePageTitle(o('offline.title'));
  const isOffline = session.value.phase === 'unreachable';
  const downloads = downloadsOfViewer();
  const [said, setSaid] = useState('');
  useEffect(() => void tidyDownloads().catch(() => undefined), []);
  const root = useRef<HTMLDivElement>(null);
  const films = downloads?.films.value ?? (downloads ? null : []);
  return (
    <div class="page library" ref={root}>
      <LibraryNav />
      <PageHeading>{o('offline.title')}</PageHeading>
      <p class="quiet">{o(isOffline ? 'offline.noNetwork' : 'offline.text')}</p>
      <p role="status" data-testid="downloads-said">
        {said}
      </p>
      {films === null && <MediaSkeletons count={2} />}
      {films?.length === 0 && (
        <div class="empty" data-testid="downloads-empty">
          <Icon name="film" size={44} />
          <h2>{o('offline.empty')}</h2>
          <p>{o('offline.emptyHint')}</p>
          <a class="button button-primary" href="/">
            {v('list.home')}
          </a>
        </div>
      )}
      <ul class="media-list" aria-busy={films === null}>
        {downloads &&
          films?.map((film, index) => (
            <Line
              key={film.video.id}
              downloads={downloads}
              film={film}
              onSaid={setSaid}
              onRemoved={() => focusAfterRemoval(root.current, index)}
            />
          ))}
      </ul>
    </div>
  );
}

interface LineProps {
  downloads: Downloads;
  film: StoredFilm;
  onSaid: (text: string) => void;
  onRemoved: () => void;
}

function Line({ downloads, film, onSaid, onRemoved }: LineProps) {
  const { video } = film;
  const activity = downloads.activities.value.get(video.id) ?? null;
  const now = useNow();
  return (
    <MediaRow
      video={video}
      href={`/watch/${encodeURIComponent(video.id)}`}
      heading="h2"
      testId="download"
      actions={
        <DownloadActions
          downloads={downloads}
          film={film}
          activity={activity}
          onSaid={onSaid}
          onRemoved={onRemoved}
        />
      }
    >
      <p class="media-meta">
        {video.duration_sec !== null && <span>{formatClock(video.duration_sec)}</span>}
        <span data-testid="download-status">{statusText(film, activity)}</span>
        <span data-testid="download-term">{termText(film, judge(termOf(film.licence), 0, now))}</span>
      </p>
    </MediaRow>
  );
}

const MINUTE_MS = 60_000;

/** Returns seconds since 1970, once a minute. */
function useNow(): number {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), MINUTE_MS);
    return () => clearInterval(timer);
  }, []);
  return now / 1000;
}
