import { useLocation } from 'preact-iso';
import { listWatchlist } from '../api/discovery';
import { ErrorMessage } from '../components/ErrorMessage';
import { LibraryNav } from '../components/LibraryNav';
import { PageHeading } from '../components/PageHeading';
import { VideoCard } from '../components/VideoCard';
import { v } from '../i18n/viewer';
import { useLoad, usePageTitle } from '../lib/hooks';

export default function WatchlistPage() {
  usePageTitle(v('watchlist.title'));
  const page = Math.max(1, Number.parseInt(useLocation().query.page ?? '1', 10) || 1);
  const [loaded, reload] = useLoad((signal) => listWatchlist(page, { signal }), [page]);
  const list = loaded.data;
  return (
    <div class="page">
      <LibraryNav />
      <PageHeading>{v('watchlist.title')}</PageHeading>
      {loaded.phase === 'failed' && <ErrorMessage error={loaded.error} onRetry={reload} retries />}
      {list?.total === 0 && <p class="empty">{v('watchlist.empty')}</p>}
      <div class="grid" aria-busy={loaded.phase === 'loading'} data-testid="watchlist">
        {list?.items.map(({ video }) => (
          <VideoCard key={video.id} video={video} heading="h2" />
        ))}
      </div>
      {list && list.page * list.page_size < list.total && (
        <div class="more">
          <a class="button" href={`/watchlist?page=${page + 1}`}>
            {v('highlights.nextPage')}
          </a>
        </div>
      )}
    </div>
  );
}
