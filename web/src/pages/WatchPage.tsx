import { useEffect, useState } from 'preact/hooks';
import { useRoute } from 'preact-iso';
import { getStreamInfo, getVideo } from '../api/endpoints';
import { isMissing as isMissingError } from '../api/errors';
import type { StreamInfo, VideoDetail } from '../api/types';
import { ErrorMessage } from '../components/ErrorMessage';
import { Icon } from '../components/Icon';
import { PageHeading } from '../components/PageHeading';
import { language, t } from '../i18n';
import { v } from '../i18n/viewer';
import { formatDate, formatDuration } from '../lib/format';
import { useLoad, usePageTitle, usePolling } from '../lib/hooks';
import { theatre } from '../player/theatre';
import { Chapters } from './watch/Chapters';
import { FilmBookmarks } from './watch/FilmBookmarks';
import { MissingFilm } from './watch/MissingFilm';
import { EpisodeLinks, Recommendations } from './watch/More';
import { Stage } from './watch/Stage';
import { StreamFacts } from './watch/StreamFacts';
import { WatchlistButton } from './watch/WatchlistButton';

/** Processing takes seconds for most films, and minutes for some. */
const POLL = { firstMs: 2000, longestMs: 15_000 };

export default function WatchPage() {
  const id = useRoute().params.id ?? '';
  return <Watch key={id} id={id} />;
}

function Watch({ id }: { id: string }) {
  const [isMissing, setMissing] = useState(false);
  return isMissing ? <MissingFilm /> : <Film id={id} onMissing={() => setMissing(true)} />;
}

function Film({ id, onMissing }: { id: string; onMissing: () => void }) {
  const [loaded, reload] = useLoad((signal) => getVideo(id, { signal }), [id]);
  const [polled, setPolled] = useState<VideoDetail | null>(null);
  const video = polled ?? loaded.data;
  usePageTitle(video?.title ?? t('player.title'));
  usePolling(async () => setPolled(await getVideo(id)), video?.status === 'processing', POLL);
  const isReady = video?.status === 'ready';
  const [info] = useLoad(
    (signal) => (isReady ? getStreamInfo(id, { signal }) : Promise.resolve(null)),
    [id, isReady],
  );

  const isMissing = loaded.phase === 'failed' && isMissingError(loaded.error);
  useEffect(() => {
    if (isMissing) onMissing();
  }, [isMissing, onMissing]);

  return (
    <div class={theatre.value ? 'watch watch-theatre' : 'watch'}>
      {!video && loaded.phase === 'loading' && (
        <div class="stage" aria-busy="true">
          <div class="stage-empty" />
        </div>
      )}
      {!video && loaded.phase === 'failed' && !isMissing && (
        <div class="stage">
          <div class="stage-empty">
            <ErrorMessage error={loaded.error} onRetry={reload} retries />
          </div>
        </div>
      )}
      {video && <Stage video={video} onMissing={onMissing} />}
      <div class="watch-text">
        <a class="back" href="/">
          <Icon name="back" size={18} />
          {t('player.back')}
        </a>
        {video && <About video={video} info={info.data ?? null} />}
      </div>
    </div>
  );
}

function About({ video, info }: { video: VideoDetail; info: StreamInfo | null }) {
  return (
    <>
      {video.status === 'ready' ? <h1>{video.title}</h1> : <PageHeading>{video.title}</PageHeading>}
      <p class="watch-meta">
        {video.duration_sec !== null && <span>{formatDuration(video.duration_sec, language.value)}</span>}
        <span>{formatDate(video.created_at, language.value)}</span>
      </p>
      {video.series_id && <EpisodeLinks videoId={video.id} />}
      <div class="watch-actions">
        <WatchlistButton videoId={video.id} />
        <a class="button" href={`/videos/${encodeURIComponent(video.id)}`} data-testid="details-link">
          {v('video.details')}
        </a>
        {video.status === 'ready' && <FilmBookmarks videoId={video.id} />}
      </div>
      {video.description && <p class="watch-description">{video.description}</p>}
      {video.status === 'ready' && <Chapters videoId={video.id} />}
      {info && <StreamFacts info={info} />}
      {video.status === 'ready' && <Recommendations videoId={video.id} />}
    </>
  );
}
