import type { Poster, VideoSummary } from '../../api/types';
import { PlayIcon } from '../../components/Icon';
import { language, t } from '../../i18n';
import { formatDuration } from '../../lib/format';
import { sourceSet } from '../../lib/pictures';

interface Props {
  video: Pick<VideoSummary, 'id' | 'title' | 'duration_sec' | 'thumbnail_url'> & {
    description?: string | null;
    posters?: Poster[];
  };
  position?: number;
  percent?: number;
}

export function Hero({ video, position, percent }: Props) {
  const resuming = position !== undefined;
  const left = video.duration_sec !== null ? video.duration_sec - (position ?? 0) : null;
  const length = left === null ? '' : formatDuration(left, language.value);
  return (
    <section class="hero" aria-labelledby="hero-title">
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
        <p class="eyebrow">{resuming ? t('home.resumeHero') : t('home.latest')}</p>
        <h2 id="hero-title">{video.title}</h2>
        {video.description && <p class="hero-description">{video.description}</p>}
        <div class="hero-actions">
          <a class="button button-primary button-large" href={`/watch/${encodeURIComponent(video.id)}`}>
            <PlayIcon size={18} />
            {resuming ? t('home.continue') : t('home.play')}
          </a>
          <span class="hero-length">{resuming ? t('home.left', { time: length }) : length}</span>
        </div>
        {percent !== undefined && (
          <span class="hero-progress" aria-hidden="true">
            <span style={{ width: `${Math.min(100, percent)}%` }} />
          </span>
        )}
      </div>
    </section>
  );
}
