import type { ComponentChildren } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { useRoute } from 'preact-iso';
import { getStreamInfo, getVideo } from '../api/endpoints';
import { isMissing as isMissingError, isPassing } from '../api/errors';
import type { StreamInfo, VideoDetail } from '../api/types';
import { ErrorMessage } from '../components/ErrorMessage';
import { Icon } from '../components/Icon';
import { loadCode } from '../components/lazyPage';
import { PageHeading } from '../components/PageHeading';
import { language, t } from '../i18n';
import { p } from '../i18n/playing';
import { v } from '../i18n/viewer';
import { formatDate, formatDuration } from '../lib/format';
import { useLoad, usePageTitle, usePolling } from '../lib/hooks';
import { theatre } from '../player/theatre';
import { Chapters } from './watch/Chapters';
import { DownloadButton } from './watch/DownloadButton';
import { FilmBookmarks } from './watch/FilmBookmarks';
import { MissingFilm } from './watch/MissingFilm';
import { EpisodeLinks, Recommendations } from './watch/More';
import { PlaylistBar, usePlaylist } from './watch/Playlist';
import { Stage } from './watch/Stage';
import { StreamFacts } from './watch/StreamFacts';
import { WatchlistButton } from './watch/WatchlistButton';

/** Processing takes seconds for most films, and minutes for some. */
const POLL = { firstMs: 2000, longestMs: 15_000 };

export default function WatchPage() {
  const id = useRoute().params.id ?? '';
  const playlist = usePlaylist(id);
  return <Watch key={id} id={id} playlist={playlist && <PlaylistBar {...playlist} />} />;
}

interface Props {
  id: string;
  playlist: ComponentChildren;
}

function Watch({ id, playlist }: Props) {
  const [isMissing, setMissing] = useState(false);
  if (!isMissing) return <Film id={id} playlist={playlist} onMissing={() => setMissing(true)} />;
  return (
    <>
      <MissingFilm />
      {playlist && <div class="page page-narrow">{playlist}</div>}
    </>
  );
}

function Film({ id, playlist, onMissing }: Props & { onMissing: () => void }) {
  const [loaded, reload] = useLoad((signal) => getVideo(id, { signal }), [id]);
  const [polled, setPolled] = useState<VideoDetail | null>(null);
  const kept = useKeptFilm(id, loaded.phase === 'failed' && isPassing(loaded.error));
  const video = polled ?? loaded.data ?? kept;
  usePageTitle(video?.title ?? p('player.title'));
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
      {!video && (loaded.phase === 'loading' || kept === undefined) && (
        <div class="stage" aria-busy="true">
          <div class="stage-empty" />
        </div>
      )}
      {!video && kept === null && loaded.phase === 'failed' && !isMissing && (
        <div class="stage">
          <div class="stage-empty">
            <ErrorMessage error={loaded.error} onRetry={reload} retries />
          </div>
        </div>
      )}
      {video && <Stage video={video} onMissing={onMissing} />}
      <div class="watch-text">
        {playlist}
        <a class="back" href="/">
          <Icon name="back" size={18} />
          {p('player.back')}
        </a>
        {video && <About video={video} info={info.data ?? null} isOffline={video === kept} />}
      </div>
    </div>
  );
}

/**
 * Returns what this browser knows of a film that it has downloaded, for when the server does not answer; undefined while
 * that is looked up.
 */
function useKeptFilm(id: string, isWanted: boolean): VideoDetail | null | undefined {
  const [video, setVideo] = useState<VideoDetail | null | undefined>(null);
  useEffect(() => {
    if (!isWanted || !navigator.serviceWorker?.controller) return;
    let current = true;
    setVideo((known) => known ?? undefined);
    const find = async () => {
      const code = await loadCode(() => import('../lsv'));
      return (await code?.findKept(id)) ?? null;
    };
    find().then(
      (found) => current && setVideo((known) => known ?? found),
      () => current && setVideo(null),
    );
    return () => {
      current = false;
    };
  }, [id, isWanted]);
  return video;
}

interface AboutProps {
  video: VideoDetail;
  info: StreamInfo | null;
  /** Whether the server did not answer: what comes from it is left out. */
  isOffline: boolean;
}

function About({ video, info, isOffline }: AboutProps) {
  if (isOffline) {
    return (
      <>
        <h1>{video.title}</h1>
        <p class="watch-meta">
          {video.duration_sec !== null && <span>{formatDuration(video.duration_sec, language.value)}</span>}
        </p>
        <div class="watch-actions">
          <a class="button" href="/downloads">
            {t('nav.downloads')}
          </a>
        </div>
        {video.description && <p class="watch-description">{video.description}</p>}
      </>
    );
  }
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
        {video.status === 'ready' && video.protection === 'lsv' && <DownloadButton video={video} />}
      </div>
      {video.description && <p class="watch-description">{video.description}</p>}
      {video.status === 'ready' && <Chapters videoId={video.id} />}
      {info && <StreamFacts info={info} />}
      {video.status === 'ready' && <Recommendations videoId={video.id} />}
    </>
  );
}
