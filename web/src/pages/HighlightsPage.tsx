import { useState } from 'preact/hooks';
import { useLocation } from 'preact-iso';
import { type HighlightFilter, type ListedHighlight, listHighlights } from '../api/discovery';
import { ErrorMessage } from '../components/ErrorMessage';
import { PlayIcon } from '../components/Icon';
import { PageHeading } from '../components/PageHeading';
import { VideoCard } from '../components/VideoCard';
import { p } from '../i18n/playing';
import { v } from '../i18n/viewer';
import { formatClock } from '../lib/format';
import { useLoad, usePageTitle } from '../lib/hooks';
import { playlistLink, readFilter, wallLink } from '../lib/playlist';
import { rangeLink } from '../lib/ranges';
import { highlightFacts, highlightName } from './watch/Chapters';

/** The highlights of all films. The filter is part of the address, so that it can be shared. */
export default function HighlightsPage() {
  usePageTitle(v('highlights.title'));
  const { query, route } = useLocation();
  const filter = readFilter(query);
  const [loaded, reload] = useLoad(
    (signal) => listHighlights(filter, { signal }),
    [filter.category, filter.player, filter.sort, filter.page],
  );
  // The first of all, also when a later page is shown.
  const [firstPage] = useLoad(
    (signal) =>
      filter.page === 1 ? Promise.resolve(null) : listHighlights({ ...filter, page: 1 }, { signal }),
    [filter.category, filter.player, filter.sort, filter.page === 1],
  );
  const show = (change: Partial<HighlightFilter>) => route(wallLink({ ...filter, page: 1, ...change }));
  const list = loaded.data;
  const first = (filter.page === 1 ? list : firstPage.data)?.items[0];
  return (
    <div class="page">
      <div class="section-head">
        <PageHeading>{v('highlights.title')}</PageHeading>
        {list && list.total > 0 && <span class="count">{list.total}</span>}
        {first && (
          <div class="section-actions">
            <a
              class="button button-primary"
              href={playlistLink(first, { filter, number: 1 })}
              data-testid="play-all"
            >
              <PlayIcon size={18} /> {p('playlist.playAll')}
            </a>
          </div>
        )}
      </div>
      <Filters filter={filter} onChange={show} />
      {loaded.phase === 'failed' && <ErrorMessage error={loaded.error} onRetry={reload} retries />}
      {list?.total === 0 && <p class="empty">{v('highlights.empty')}</p>}
      <div class="grid" aria-busy={loaded.phase === 'loading'} data-testid="highlight-wall">
        {list?.items.map((highlight) => (
          <HighlightCard key={highlight.id} highlight={highlight} />
        ))}
      </div>
      {list && list.total > list.page_size && (
        <div class="more pages">
          <button
            type="button"
            class="button"
            disabled={filter.page === 1}
            onClick={() => show({ page: filter.page - 1 })}
          >
            {v('highlights.previousPage')}
          </button>
          <button
            type="button"
            class="button"
            disabled={filter.page * list.page_size >= list.total}
            onClick={() => show({ page: filter.page + 1 })}
          >
            {v('highlights.nextPage')}
          </button>
        </div>
      )}
    </div>
  );
}

interface FiltersProps {
  filter: HighlightFilter;
  onChange: (change: Partial<HighlightFilter>) => void;
}

function Filters({ filter, onChange }: FiltersProps) {
  const [texts, setTexts] = useState({ category: filter.category, player: filter.player });
  return (
    <form
      class="filters"
      onSubmit={(event) => {
        event.preventDefault();
        onChange({ category: texts.category.trim(), player: texts.player.trim() });
      }}
    >
      {(['category', 'player'] as const).map((name) => (
        <label key={name}>
          {v(`highlights.${name}`)}
          <input
            name={name}
            value={texts[name]}
            maxLength={60}
            onInput={(event) => setTexts({ ...texts, [name]: event.currentTarget.value })}
          />
        </label>
      ))}
      <label>
        {v('highlights.sort')}
        <select
          value={filter.sort}
          onChange={(event) => onChange({ sort: event.currentTarget.value as HighlightFilter['sort'] })}
        >
          <option value="-pot_size">{v('highlights.sortPot')}</option>
          <option value="-created_at">{v('highlights.sortNewest')}</option>
        </select>
      </label>
      <button type="submit" class="button">
        {v('highlights.filter')}
      </button>
    </form>
  );
}

function HighlightCard({ highlight }: { highlight: ListedHighlight }) {
  const { video, start, end } = highlight;
  const note = [highlightFacts(highlight), video.title].filter(Boolean).join(' · ');
  return (
    <VideoCard
      heading="h2"
      video={{ ...video, title: highlightName(highlight), duration_sec: end - start }}
      note={`${formatClock(start)} · ${note}`}
      href={rangeLink(video.id, start, end)}
    />
  );
}
