import { useRoute } from 'preact-iso';
import { getProgress, getVideo } from '../api/endpoints';
import { isMissing } from '../api/errors';
import type { VideoDetail } from '../api/types';
import { ErrorMessage } from '../components/ErrorMessage';
import { Icon, PlayIcon } from '../components/Icon';
import { PageHeading } from '../components/PageHeading';
import { language, t } from '../i18n';
import { failureText } from '../i18n/codeText';
import { v } from '../i18n/viewer';
import { formatClock, formatDate, formatDuration } from '../lib/format';
import { useLoad, usePageTitle } from '../lib/hooks';
import { sourceSet } from '../lib/pictures';
import { rangeLink } from '../lib/ranges';
import { resumePosition } from '../player/progressPolicy';
import { addressOfSearch } from '../search/suggestions';
import { Episodes } from './video/Episodes';
import { Tracks } from './video/Tracks';
import { Chapters } from './watch/Chapters';
import { MissingFilm } from './watch/MissingFilm';
import { EpisodeLinks, Recommendations } from './watch/More';
import { WatchlistButton } from './watch/WatchlistButton';
import '../styles/video.css';
import { p } from '../i18n/playing';

/** What there is to know of a film before it is watched. */
export default function VideoPage() {
  const id = useRoute().params.id ?? '';
  return <Detail key={id} id={id} />;
}

function Detail({ id }: { id: string }) {
  const [loaded, reload] = useLoad((signal) => getVideo(id, { signal }), [id]);
  const video = loaded.data;
  usePageTitle(video?.title ?? v('video.details'));
  if (loaded.phase === 'failed' && isMissing(loaded.error)) return <MissingFilm />;
  return (
    <div data-testid="video-page">
      {!video && loaded.phase === 'loading' && (
        <div class="hero video-hero" aria-busy="true">
          <div class="hero-text skeleton">
            <div class="skeleton-line" />
            <div class="skeleton-line short" />
          </div>
        </div>
      )}
      {loaded.phase === 'failed' && (
        <div class="page page-narrow">
          <ErrorMessage error={loaded.error} onRetry={reload} retries />
        </div>
      )}
      {video && (
        <>
          <Head video={video} />
          <Body video={video} />
        </>
      )}
    </div>
  );
}

function Head({ video }: { video: VideoDetail }) {
  return (
    <section class="hero video-hero" aria-labelledby="video-title">
      {video.thumbnail_url && (
        <div class="hero-art" aria-hidden="true">
          <img class="hero-glow" src={video.thumbnail_url} alt="" />
          <img
            class="hero-still"
            src={video.thumbnail_url}
            srcset={sourceSet(video.posters)}
            sizes="(min-width: 900px) 60vw, 100vw"
            alt=""
          />
        </div>
      )}
      <div class="hero-text">
        <PageHeading id="video-title">{video.title}</PageHeading>
        <p class="watch-meta">
          {video.duration_sec !== null && <span>{formatDuration(video.duration_sec, language.value)}</span>}
          <span>{formatDate(video.created_at, language.value)}</span>
        </p>
        {video.status === 'ready' && <PlayLinks video={video} />}
        {video.status === 'processing' && (
          <p role="status">
            <span class="spinner" aria-hidden="true" /> {t('card.processing')}
          </p>
        )}
        {video.status === 'failed' && <ErrorMessage error={`${p('player.failed')} ${failureText(video)}`} />}
      </div>
    </section>
  );
}

function PlayLinks({ video }: { video: VideoDetail }) {
  const [progress] = useLoad((signal) => getProgress(video.id, { signal }), [video.id]);
  const position = resumePosition(progress.data ?? null);
  const start = `/watch/${encodeURIComponent(video.id)}`;
  return (
    <div class="hero-actions">
      <a
        class="button button-primary button-large"
        href={position === null ? start : rangeLink(video.id, Math.floor(position))}
        data-testid="video-play"
      >
        <PlayIcon size={18} />
        {position === null ? v('video.play') : v('video.continue', { time: formatClock(position) })}
      </a>
      {position !== null && (
        <a class="button button-large" href={rangeLink(video.id, 0)}>
          <Icon name="restart" size={18} /> {v('video.restart')}
        </a>
      )}
      <WatchlistButton videoId={video.id} />
    </div>
  );
}

function Body({ video }: { video: VideoDetail }) {
  const tags = video.tags ?? [];
  return (
    <div class="page video-body">
      <div class="video-columns">
        <div>
          {video.series_id && <EpisodeLinks videoId={video.id} />}
          {video.description && <p class="watch-description">{video.description}</p>}
          {tags.length > 0 && (
            <ul class="tag-list" aria-label={v('video.tags')} data-testid="tags">
              {tags.map((tag) => (
                <li key={tag}>
                  <a class="chip" href={addressOfSearch(tag)}>
                    {tag}
                  </a>
                </li>
              ))}
            </ul>
          )}
          {video.status === 'ready' && <Chapters videoId={video.id} />}
        </div>
        {video.status === 'ready' && <Tracks video={video} />}
      </div>
      {video.series_id && <Episodes seriesId={video.series_id} season={video.season ?? null} />}
      {video.status === 'ready' && <Recommendations videoId={video.id} />}
    </div>
  );
}
