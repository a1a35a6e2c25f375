import { useEffect, useState } from 'preact/hooks';
import { useLocation } from 'preact-iso';
import { getHome } from '../api/discovery';
import { getHistory, listVideos, searchVideos } from '../api/endpoints';
import { isAbort } from '../api/errors';
import type { HistoryEntry, Page, User, VideoSummary } from '../api/types';
import { ErrorMessage } from '../components/ErrorMessage';
import { Icon } from '../components/Icon';
import { PageHeading } from '../components/PageHeading';
import { CardSkeleton, VideoCard } from '../components/VideoCard';
import { language, t } from '../i18n';
import { useLoad, usePageTitle, usePolling } from '../lib/hooks';
import { awaitsPicture } from '../lib/pictures';
import { resumePosition } from '../player/progressPolicy';
import { addressOfSearch } from '../search/suggestions';
import { Hero } from './home/Hero';
import { HomeRows } from './home/HomeRows';

const PAGE_SIZE = 24;
const MAX_PAGE_SIZE = 100;
/** Processing takes seconds for most films, and minutes for some. */
const POLL = { firstMs: 2000, longestMs: 15_000 };

export default function HomePage({ user }: { user: User }) {
  const query = useLocation().query.query ?? '';
  usePageTitle(query ? t('home.results', { query }) : t('home.title'));
  const videos = useVideos(query);
  const [history, reloadHistory] = useLoad((signal) => getHistory(MAX_PAGE_SIZE, { signal }), []);

  const [home, reloadHome] = useLoad((signal) => getHome({ signal }), []);

  useEffect(() => {
    // Going back from another site may restore this page with old positions.
    const onShow = (event: PageTransitionEvent) => {
      if (!event.persisted) return;
      reloadHistory();
      reloadHome();
      videos.reload();
    };
    window.addEventListener('pageshow', onShow);
    return () => window.removeEventListener('pageshow', onShow);
  });

  const entries = history.data?.items ?? [];
  const started = entries.filter((entry) => entry.video && resumePosition(asRecord(entry)) !== null);
  const featured = query ? null : pickFeatured(started, videos.list?.items);

  return (
    <>
      {featured && <Hero {...featured} />}
      <div class="page">
        {!query && home.data && <HomeRows rows={home.data.rows} />}
        <section aria-labelledby="all-videos">
          <div class="section-head">
            <PageHeading id="all-videos">{query ? t('home.results', { query }) : t('home.all')}</PageHeading>
            {videos.list && videos.list.total > 0 && !videos.stale && (
              <span class="count">{count(videos.list.total)}</span>
            )}
          </div>
          {videos.error !== null && (
            <ErrorMessage error={videos.error} onRetry={videos.reload} retries={videos.retries} />
          )}
          {videos.list?.didYouMean && !videos.stale && (
            <p class="did-you-mean" role="status" data-testid="did-you-mean">
              <a href={addressOfSearch(videos.list.didYouMean)}>
                {t('search.didYouMean', { text: videos.list.didYouMean })}
              </a>
            </p>
          )}
          <VideoGrid videos={videos} history={entries} />
          {videos.list?.total === 0 && !videos.stale && <Empty query={query} canUpload={user.can_upload} />}
        </section>
      </div>
    </>
  );
}

function count(total: number): string {
  if (total === 1) return t('home.count.one');
  return t('home.count', { count: new Intl.NumberFormat(language.value).format(total) });
}

function asRecord(entry: HistoryEntry) {
  return { ...entry, content_id: entry.video_id };
}

function pickFeatured(started: HistoryEntry[], videos: VideoSummary[] | undefined) {
  const entry = started[0];
  if (entry?.video) return { video: entry.video, position: entry.position, percent: entry.progress_percent };
  const video = videos?.find(({ status }) => status === 'ready');
  return video ? { video } : null;
}

interface VideoList {
  list: VideoPage | undefined;
  /** The list still shows an earlier search. */
  stale: boolean;
  loading: boolean;
  error: unknown;
  /** A failed load is retried automatically. */
  retries: boolean;
  reload: () => void;
  loadMore: () => void;
}

function useVideos(query: string): VideoList {
  const [shown, setShown] = useState({ query, extra: [] as VideoSummary[], pages: 1 });
  const [loadingMore, setLoadingMore] = useState(false);
  const [moreError, setMoreError] = useState<unknown>(null);
  const [fresh, setFresh] = useState<{ first: VideoPage; items: VideoSummary[] } | null>(null);
  const [first, reload] = useLoad(
    async (signal) => ({
      query,
      page: await loadPage(query, 1, PAGE_SIZE, { signal }),
    }),
    [query],
  );

  const current = shown.query === query ? shown : { query, extra: [], pages: 1 };
  const base = first.data?.page;
  const polled = fresh && fresh.first === base ? new Map(fresh.items.map((item) => [item.id, item])) : null;
  const items = base && unique([...base.items, ...current.extra]).map((item) => polled?.get(item.id) ?? item);
  const total = base?.total ?? 0;

  const loadMore = async () => {
    setLoadingMore(true);
    setMoreError(null);
    try {
      const next = await loadPage(query, current.pages + 1, PAGE_SIZE);
      setShown({ query, extra: [...current.extra, ...next.items], pages: current.pages + 1 });
    } catch (error) {
      if (!isAbort(error)) setMoreError(error);
    } finally {
      setLoadingMore(false);
    }
  };

  // One request refreshes every card that is still being processed; new uploads come first in the list. Pictures come
  // after a film can be watched; one that has none after a while gets none.
  const processing = items?.some((video) => video.status === 'processing' || awaitsPicture(video)) ?? false;
  usePolling(
    async () => {
      if (!base) return;
      const pageSize = Math.min(MAX_PAGE_SIZE, current.pages * PAGE_SIZE);
      setFresh({ first: base, items: (await loadPage(query, 1, pageSize)).items });
    },
    processing,
    POLL,
  );

  return {
    list: base && items ? { ...base, items, total } : undefined,
    stale: first.data !== undefined && first.data.query !== query,
    loading: first.phase === 'loading' || loadingMore,
    error: first.phase === 'failed' ? first.error : moreError,
    retries: first.phase === 'failed',
    reload: () => {
      setShown({ query, extra: [], pages: 1 });
      setMoreError(null);
      reload();
    },
    loadMore: () => void loadMore(),
  };
}

type VideoPage = Page<VideoSummary> & { didYouMean?: string | undefined };

/** A page of all videos, or of what a search finds. */
async function loadPage(
  query: string,
  page: number,
  pageSize: number,
  options: { signal?: AbortSignal } = {},
): Promise<VideoPage> {
  if (!query) return listVideos({ page, pageSize }, options);
  const { items, did_you_mean, ...rest } = await searchVideos({ query, page, pageSize }, options);
  return { ...rest, items: items.map(({ video }) => video), didYouMean: did_you_mean };
}

/** A video uploaded between two pages shifts the list, so the next page may repeat an item. */
function unique(items: VideoSummary[]): VideoSummary[] {
  return [...new Map(items.map((item) => [item.id, item])).values()];
}

function VideoGrid({ videos, history }: { videos: VideoList; history: HistoryEntry[] }) {
  const { list, loading, stale } = videos;
  const progress = new Map(history.map((entry) => [entry.video_id, entry]));
  if (!list && !loading) return null;
  return (
    <>
      <div class={stale ? 'grid stale' : 'grid'} aria-busy={loading}>
        {list?.items.map((video) => {
          const entry = progress.get(video.id);
          return <VideoCard key={video.id} video={video} watched={entry && watched(entry)} heading="h2" />;
        })}
        {!list && Array.from({ length: 8 }, (_, index) => <CardSkeleton key={`skeleton-${index}`} />)}
      </div>
      {list && !stale && list.items.length < list.total && (
        <div class="more">
          <button
            type="button"
            class="button"
            disabled={loading}
            onClick={videos.loadMore}
            data-testid="load-more"
          >
            {loading ? t('common.loading') : t('common.loadMore')}
          </button>
        </div>
      )}
    </>
  );
}

function watched(entry: HistoryEntry) {
  return { percent: entry.progress_percent, completed: entry.completed, position: entry.position };
}

function Empty({ query, canUpload }: { query: string; canUpload: boolean }) {
  return (
    <div class="empty">
      <Icon name={query ? 'search' : 'film'} size={44} />
      <h2>{query ? t('home.noResults', { query }) : t('home.empty')}</h2>
      <p>{query ? t('home.noResultsHint') : t('home.emptyHint')}</p>
      {!query && canUpload && (
        <a class="button button-primary" href="/upload">
          {t('home.emptyUpload')}
        </a>
      )}
    </div>
  );
}
