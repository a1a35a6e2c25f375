import {
  type EpisodeNumbers,
  type Film,
  getPlace,
  getRecommendations,
  type Recommendation,
} from '../../api/discovery';
import { Shelf } from '../../components/Shelf';
import { VideoCard } from '../../components/VideoCard';
import { p } from '../../i18n/playing';
import { v } from '../../i18n/viewer';
import { useLoad } from '../../lib/hooks';

/** "S1 E2", or what there is of it. */
export function episodeText({ season, episode }: Omit<EpisodeNumbers, 'series_id'>): string {
  const parts = [
    season === null ? '' : v('series.seasonShort', { number: season }),
    episode === null ? '' : v('series.episodeShort', { number: episode }),
  ];
  return parts.filter(Boolean).join(' ');
}

/** Which series the film belongs to, and the episodes before and after it. */
export function EpisodeLinks({ videoId }: { videoId: string }) {
  const [loaded] = useLoad((signal) => getPlace(videoId, { signal }), [videoId]);
  const place = loaded.data;
  if (!place) return null;
  return (
    <nav class="episodes-nav" aria-label={place.series.title} data-testid="episode-links">
      <a href={`/series/${encodeURIComponent(place.series.id)}`}>{place.series.title}</a>
      <span>{episodeText(place)}</span>
      {place.previous && <EpisodeLink video={place.previous} text={v('series.previous')} />}
      {place.next && <EpisodeLink video={place.next} text={v('series.next')} />}
    </nav>
  );
}

function EpisodeLink({ video, text }: { video: Film; text: string }) {
  return (
    <a class="button" href={`/watch/${encodeURIComponent(video.id)}`} title={video.title}>
      {text}
    </a>
  );
}

/** What to watch after the film. */
export function Recommendations({ videoId }: { videoId: string }) {
  const [loaded] = useLoad((signal) => getRecommendations(videoId, { signal }), [videoId]);
  const items = loaded.data?.items ?? [];
  if (items.length === 0) return null;
  return (
    <Shelf id="recommendations" title={p('recommendations.title')} label={p('recommendations.title')}>
      {items.map((item) => (
        <VideoCard key={item.id} video={item} note={reasonText(item)} />
      ))}
    </Shelf>
  );
}

function reasonText({ reason }: Recommendation): string {
  switch (reason) {
    case 'same_series':
      return p('recommendations.sameSeries');
    case 'co_watched':
      return p('recommendations.coWatched');
    case 'shared_tags':
      return p('recommendations.sharedTags');
    default:
      return '';
  }
}
