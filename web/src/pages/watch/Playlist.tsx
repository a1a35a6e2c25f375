import { useEffect, useState } from 'preact/hooks';
import { useLocation } from 'preact-iso';
import { type ListedHighlight, listHighlights } from '../../api/discovery';
import { ErrorMessage } from '../../components/ErrorMessage';
import { p } from '../../i18n/playing';
import { useLoad } from '../../lib/hooks';
import {
  findNumber,
  numberItems,
  type PlaylistPlace,
  pagesAround,
  parsePlaylist,
  playlistLink,
  wallLink,
} from '../../lib/playlist';
import { parseRange } from '../../lib/ranges';
import { atEndOfPart } from '../../player/jump';
import { highlightFacts, highlightName } from './Chapters';
import '../../styles/playing.css';

interface Playlist {
  place: PlaylistPlace;
  /** Undefined while the list is loaded, like the three below. */
  total: number | undefined;
  current: ListedHighlight | undefined;
  previous: ListedHighlight | undefined;
  next: ListedHighlight | undefined;
  error: unknown;
  reload: () => void;
}

/** The list that the address says the film's highlight is in; it is kept while the page goes from film to film. */
export function usePlaylist(videoId: string): Playlist | null {
  const { query } = useLocation();
  const place = parsePlaylist(query);
  const pages = place ? pagesAround(place.number) : [];
  const [loaded, reload] = useLoad(
    (signal) =>
      Promise.all(
        pages.map((page) => listHighlights({ ...(place as PlaylistPlace).filter, page }, { signal })),
      ),
    [place?.filter.category, place?.filter.player, place?.filter.sort, pages.join()],
  );
  if (!place) return null;
  const items = numberItems(loaded.data ?? []);
  const number = findNumber(items, place.number, videoId, parseRange(query)?.from);
  return {
    place: { ...place, number },
    total: loaded.data?.[0]?.total,
    current: items.get(number),
    previous: items.get(number - 1),
    next: items.get(number + 1),
    error: loaded.phase === 'failed' ? loaded.error : null,
    reload,
  };
}

/** Which highlight of the list plays, and the way to the others. At its end the next one follows by itself. */
export function PlaylistBar({ place, total, current, previous, next, error, reload }: Playlist) {
  const { route } = useLocation();
  /** Which one has ended, with none known that follows. */
  const [ended, setEnded] = useState<number | null>(null);
  const isOver = ended === place.number;
  const address = (highlight: ListedHighlight | undefined, by: 1 | -1) =>
    highlight && playlistLink(highlight, { ...place, number: place.number + by });
  const nextAddress = address(next, 1);
  const previousAddress = address(previous, -1);
  // Back leads out of the list, not through all that has played.
  const go = (to: string | undefined) => {
    if (to !== undefined) route(to, true);
  };

  useEffect(
    () =>
      atEndOfPart(() => {
        if (nextAddress === undefined) setEnded(place.number);
        else route(nextAddress, true);
        return nextAddress !== undefined;
      }),
    [nextAddress, place.number, route],
  );
  useEffect(() => {
    // The list came later than the end.
    if (isOver && nextAddress !== undefined) route(nextAddress, true);
  }, [isOver, nextAddress, route]);
  const isLast = total !== undefined && place.number >= total;

  return (
    <section class="playlist" aria-label={p('playlist.title')} data-testid="playlist">
      <p role="status" data-testid="playlist-position">
        {total !== undefined && (
          <strong>
            {p('playlist.position', { number: place.number, total: Math.max(total, place.number) })}
          </strong>
        )}{' '}
        {current && highlightName(current)}{' '}
        <span class="quiet">
          {isOver && isLast ? p('playlist.over') : current && highlightFacts(current)}
        </span>
      </p>
      {error !== null && <ErrorMessage error={error} onRetry={reload} retries />}
      <div class="playlist-buttons">
        <button
          type="button"
          class="button"
          aria-disabled={previousAddress === undefined}
          data-testid="playlist-previous"
          onClick={() => go(previousAddress)}
        >
          {p('playlist.previous')}
        </button>
        <button
          type="button"
          class="button"
          aria-disabled={nextAddress === undefined}
          data-testid="playlist-next"
          onClick={() => go(nextAddress)}
        >
          {p('playlist.next')}
        </button>
        <a class="button button-quiet" href={wallLink(place.filter)}>
          {p('playlist.wall')}
        </a>
      </div>
    </section>
  );
}
