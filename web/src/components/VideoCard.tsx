import { useMemo, useState } from 'preact/hooks';
import type { VideoSummary } from '../api/types';
import { language, t } from '../i18n';
import { failureText } from '../i18n/codeText';
import { formatClock, formatDate, formatDuration } from '../lib/format';
import { placeholderOf, sourceSet } from '../lib/pictures';
import { Icon, PlayIcon } from './Icon';

type CardVideo = Pick<VideoSummary, 'id' | 'title' | 'duration_sec' | 'thumbnail_url'> &
  Partial<
    Pick<VideoSummary, 'status' | 'failure_code' | 'failure_reason' | 'created_at' | 'thumbhash' | 'posters'>
  >;

/** How wide a card is at most: see `.cards` in home.css. */
const CARD_SIZES = '(min-width: 640px) 320px, 100vw';

interface Props {
  video: CardVideo;
  watched?: { percent: number; completed: boolean; position: number } | undefined;
  /** Shows the time left instead of the date when the video was added. */
  showTimeLeft?: boolean;
  /** Shown in place of the date. */
  note?: string;
  /** Where the card leads; the film from where it was left, by default. */
  href?: string;
  /** The heading of the card, one below that of its list. */
  heading?: 'h2' | 'h3';
}

export function VideoCard({
  video,
  watched,
  showTimeLeft = false,
  note,
  href,
  heading: Heading = 'h3',
}: Props) {
  const status = video.status ?? 'ready';
  const body = (
    <>
      <div class="card-frame">
        <Thumbnail video={video} plain={status !== 'ready'} />
        {status === 'ready' && (
          <>
            <span class="card-play">
              <PlayIcon size={26} />
            </span>
            {video.duration_sec !== null && (
              <span class="card-duration">{formatClock(video.duration_sec)}</span>
            )}
            {watched && <WatchedBar percent={watched.percent} completed={watched.completed} />}
          </>
        )}
        {status === 'processing' && (
          <span class="card-state" role="status">
            <span class="spinner" aria-hidden="true" />
            {t('card.processing')}
          </span>
        )}
        {status === 'failed' && (
          <span class="card-state card-state-failed">
            <Icon name="alert" />
            {t('card.failed')}
          </span>
        )}
      </div>
      <Heading class="card-title">{video.title}</Heading>
      <p class="card-meta">{note || meta(video, watched, showTimeLeft)}</p>
    </>
  );
  return (
    <article
      class={`card card-${status}`}
      data-testid="video-card"
      data-video-id={video.id}
      data-status={status}
    >
      {status === 'ready' ? <a href={href ?? `/watch/${encodeURIComponent(video.id)}`}>{body}</a> : body}
    </article>
  );
}

function meta(video: CardVideo, watched: Props['watched'], showTimeLeft: boolean): string {
  if (video.status === 'failed') return failureText(video);
  if (showTimeLeft && watched && video.duration_sec !== null) {
    const left = Math.max(0, video.duration_sec - watched.position);
    return t('home.left', { time: formatDuration(left, language.value) });
  }
  return video.created_at ? formatDate(video.created_at, language.value) : '';
}

function Thumbnail({ video, plain }: { video: CardVideo; plain: boolean }) {
  const { thumbnail_url: url, thumbhash, posters } = video;
  const [broken, setBroken] = useState<string | null>(null);
  const placeholder = useMemo(() => placeholderOf(thumbhash), [thumbhash]);
  if (!url || broken === url) {
    return <span class="card-placeholder">{!plain && <Icon name="film" size={36} />}</span>;
  }
  return (
    <img
      src={url}
      srcset={sourceSet(posters)}
      sizes={CARD_SIZES}
      alt=""
      loading="lazy"
      decoding="async"
      style={placeholder && { background: `center / cover url(${placeholder})` }}
      data-testid="video-thumbnail"
      onError={() => setBroken(url)}
    />
  );
}

/** How much of a film was watched. */
export function WatchedBar({ percent, completed }: { percent: number; completed: boolean }) {
  const shown = completed ? 100 : Math.round(Math.min(100, Math.max(0, percent)));
  const label = completed ? t('card.completed') : t('card.watched', { percent: shown });
  return (
    <span class="card-progress" role="img" aria-label={label}>
      <span style={{ width: `${shown}%` }} />
    </span>
  );
}

export function CardSkeleton() {
  return (
    <div class="card skeleton" aria-hidden="true">
      <div class="card-frame" />
      <div class="skeleton-line" />
      <div class="skeleton-line short" />
    </div>
  );
}
