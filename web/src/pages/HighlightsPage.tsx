import { useState } from 'preact/hooks';
import { useLocation } from 'preact-iso';
import { type HighlightFilter, type ListedHighlight, listHighlights } from '../api/discovery';
import { ErrorMessage } from '../components/ErrorMessage';
import { PageHeading } from '../components/PageHeading';
import { VideoCard } from '../components/VideoCard';
import { t } from '../i18n';
import { formatClock } from '../lib/format';
import { useLoad, usePageTitle } from '../lib/hooks';
import { rangeLink } from '../lib/ranges';
import { highlightFacts, highlightName } from './watch/Chapters';

/** The highlights of all films. The filter is part of the address, so that it can be shared. */
export default function HighlightsPage() {
  usePageTitle(t('highlights.title'));
  const { query, route } = useLocation();
  const filter: HighlightFilter = {
    category: query.category ?? '',
    player: query.player ?? '',
    sort: query.sort === '-created_at' ? '-created_at' : '-pot_size',
    page: Math.max(1, Number.parseInt(query.page ?? '1', 10) || 1),
  };
  const [loaded, reload] = useLoad(
    (signal) => listHighlights(filter, { signal }),
    [filter.category, filter.player, filter.sort, filter.page],
  );
  const show = (change: Partial<HighlightFilter>) => {
    const next = { ...filter, page: 1, ...change };
    const search = new URLSearchParams();
    for (const [name, value] of Object.entries(next)) {
      if (value && value !== 1 && value !== '-pot_size') search.set(name, String(value));
    }
    route(search.size > 0 ? `/highlights?${search}` : '/highlights');
  };
  const list = loaded.data;
  return (
    <div class="page">
      <div class="section-head">
        <PageHeading>{t('highlights.title')}</PageHeading>
        {list && list.total > 0 && <span class="count">{list.total}</span>}
      </div>
      <Filters filter={filter} onChange={show} />
      {loaded.phase === 'failed' && <ErrorMessage error={loaded.error} onRetry={reload} retries />}
      {list?.total === 0 && <p class="empty">{t('highlights.empty')}</p>}
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
            {t('highlights.previousPage')}
          </button>
          <button
            type="button"
            class="button"
            disabled={filter.page * list.page_size >= list.total}
            onClick={() => show({ page: filter.page + 1 })}
          >
            {t('highlights.nextPage')}
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
          {t(`highlights.${name}`)}
          <input
            name={name}
            value={texts[name]}
            maxLength={60}
            onInput={(event) => setTexts({ ...texts, [name]: event.currentTarget.value })}
          />
        </label>
      ))}
      <label>
        {t('highlights.sort')}
        <select
          value={filter.sort}
          onChange={(event) => onChange({ sort: event.currentTarget.value as HighlightFilter['sort'] })}
        >
          <option value="-pot_size">{t('highlights.sortPot')}</option>
          <option value="-created_at">{t('highlights.sortNewest')}</option>
        </select>
      </label>
      <button type="submit" class="button">
        {t('highlights.filter')}
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
