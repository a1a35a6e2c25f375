import { useRoute } from 'preact-iso';
import { getSeries, type SeriesDetail } from '../api/discovery';
import { getHistory } from '../api/endpoints';
import { isMissing } from '../api/errors';
import type { HistoryEntry } from '../api/types';
import { ErrorMessage } from '../components/ErrorMessage';
import { PageHeading } from '../components/PageHeading';
import { CardSkeleton, VideoCard } from '../components/VideoCard';
import { v } from '../i18n/viewer';
import { useLoad, usePageTitle } from '../lib/hooks';
import NotFoundPage from './NotFoundPage';
import { episodeText } from './watch/More';

const HISTORY = 100;

export default function SeriesPage() {
  const id = useRoute().params.id ?? '';
  const [loaded, reload] = useLoad((signal) => getSeries(id, { signal }), [id]);
  const [history] = useLoad((signal) => getHistory(HISTORY, { signal }), [id]);
  usePageTitle(loaded.data?.title ?? v('series.title'));
  if (loaded.phase === 'failed' && isMissing(loaded.error)) return <NotFoundPage />;
  return (
    <div class="page">
      {loaded.phase === 'failed' && <ErrorMessage error={loaded.error} onRetry={reload} retries />}
      {loaded.data ? (
        <Seasons series={loaded.data} history={history.data?.items ?? []} />
      ) : (
        loaded.phase === 'loading' && (
          <div class="grid" aria-busy="true">
            {Array.from({ length: 4 }, (_, index) => (
              <CardSkeleton key={`skeleton-${index}`} />
            ))}
          </div>
        )
      )}
    </div>
  );
}

function Seasons({ series, history }: { series: SeriesDetail; history: HistoryEntry[] }) {
  const progress = new Map(history.map((entry) => [entry.video_id, entry]));
  return (
    <>
      <header class="series-head">
        <p class="eyebrow">{v('series.title')}</p>
        <PageHeading>{series.title}</PageHeading>
        {series.description && <p class="watch-description">{series.description}</p>}
        <p class="count">{v('series.episodes', { count: series.episode_count })}</p>
      </header>
      {series.seasons.map(({ season, episodes }) => (
        <section key={season ?? 'none'} aria-labelledby={`season-${season}`} data-testid="season">
          <h2 id={`season-${season}`}>
            {season === null ? v('series.noSeason') : v('series.season', { number: season })}
          </h2>
          <div class="grid">
            {episodes.map((video) => {
              const entry = progress.get(video.id);
              const watched = entry && {
                percent: entry.progress_percent,
                completed: entry.completed,
                position: entry.position,
              };
              return <VideoCard key={video.id} video={video} watched={watched} note={episodeText(video)} />;
            })}
          </div>
        </section>
      ))}
    </>
  );
}
