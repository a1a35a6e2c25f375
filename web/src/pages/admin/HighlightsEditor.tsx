import { useEffect, useRef, useState } from 'preact/hooks';
import { getHighlights, type Highlight } from '../../api/discovery';
import { getVideo } from '../../api/endpoints';
import { deleteHighlight } from '../../api/films';
import { ConfirmDialog } from '../../components/ConfirmDialog';
import { DataTable } from '../../components/DataTable';
import { ErrorMessage } from '../../components/ErrorMessage';
import { language } from '../../i18n';
import { ta } from '../../i18n/admin';
import { formatNumber } from '../../lib/format';
import { useLoad } from '../../lib/hooks';
import { playFrom, shownPosition } from '../../player/jump';
import { highlightName } from '../watch/Chapters';
import { Stage } from '../watch/Stage';
import { HighlightFields } from './HighlightFields';
import { HighlightFiles } from './HighlightFiles';
import { timeText } from './highlightForm';
import { AdminHead, ListStates, Notice } from './parts';

/** Edits the highlights of a film beside its player: times are taken from where it is played. */
export function HighlightsEditor({ videoId }: { videoId: string }) {
  const [film, reloadFilm] = useLoad((signal) => getVideo(videoId, { signal }), [videoId]);
  const [loaded, reload] = useLoad((signal) => getHighlights(videoId, { signal }), [videoId]);
  const [edited, setEdited] = useState<Highlight | null>(null);
  const [asked, setAsked] = useState<Highlight | null>(null);
  const [said, setSaid] = useState<string | null>(null);
  const form = useRef<HTMLElement>(null);
  const items = loaded.data?.items;
  const title = film.data?.title ?? '…';
  const done = (text: string) => {
    setEdited(null);
    setAsked(null);
    setSaid(text);
    reload();
  };
  return (
    <>
      <AdminHead title={film.data ? ta('highlights.editOf', { title }) : ta('nav.highlights')}>
        <a class="button" href="/admin/contents">
          {ta('highlights.toContents')}
        </a>
      </AdminHead>
      {film.phase === 'failed' && !film.data && (
        <ErrorMessage error={film.error} onRetry={reloadFilm} retries />
      )}
      {film.data && (
        <div class="highlight-editor">
          <div class="highlight-film">
            {film.data.status === 'ready' ? (
              <>
                <Stage video={film.data} onMissing={reloadFilm} />
                <Timeline items={items ?? []} duration={film.data.duration_sec ?? 0} />
              </>
            ) : (
              <p class="quiet">{ta('highlights.notReady')}</p>
            )}
          </div>
          <section ref={form} class="panel" aria-label={ta(edited ? 'highlights.change' : 'highlights.new')}>
            <HighlightFields
              key={edited?.id ?? `new ${items?.length ?? 0}`}
              videoId={videoId}
              edited={edited}
              categories={[...new Set(items?.map(({ category }) => category).filter(Boolean))]}
              onCancel={() => setEdited(null)}
              onDone={done}
            />
          </section>
        </div>
      )}
      <Notice text={said} />
      <ListStates loaded={loaded} reload={reload} isEmpty={items?.length === 0} empty={ta('highlights.none')}>
        <DataTable
          caption={ta('highlights.editOf', { title })}
          rows={items}
          rowId={({ id }) => id}
          isLoading={loaded.phase === 'loading'}
          columns={[
            {
              key: 'name',
              label: ta('highlights.name'),
              class: 'title-cell',
              cell: highlightName,
            },
            {
              key: 'range',
              label: ta('highlights.range'),
              class: 'figure',
              cell: ({ start, end }) => (
                <button
                  type="button"
                  class="link-button"
                  aria-label={ta('highlights.play', { time: timeText(start) })}
                  onClick={() => playFrom(start)}
                >
                  {timeText(start)} – {timeText(end)}
                </button>
              ),
            },
            { key: 'category', label: ta('highlights.category'), cell: ({ category }) => category || '–' },
            {
              key: 'players',
              label: ta('highlights.players'),
              class: 'title-cell',
              cell: ({ players }) => players.join(', ') || '–',
            },
            {
              key: 'pot',
              label: ta('highlights.pot'),
              class: 'figure',
              cell: ({ pot_size: pot }) => (pot === null ? '–' : formatNumber(pot, language.value)),
            },
          ]}
          actionsLabel={ta('list.actions')}
          actions={(highlight) => (
            <span class="row-actions">
              <button
                type="button"
                class="button button-small"
                aria-label={ta('highlights.edit', { time: timeText(highlight.start) })}
                data-testid="edit-highlight"
                onClick={() => {
                  setEdited(highlight);
                  form.current?.scrollIntoView({ block: 'nearest' });
                }}
              >
                {ta('list.edit')}
              </button>
              <button
                type="button"
                class="button button-small button-danger"
                aria-label={ta('highlights.deleteOf', { time: timeText(highlight.start) })}
                data-testid="delete-highlight"
                onClick={() => setAsked(highlight)}
              >
                {ta('highlights.delete')}
              </button>
            </span>
          )}
          testId="highlights-table"
        />
      </ListStates>
      {items && <HighlightFiles videoId={videoId} items={items} onDone={done} />}
      {asked && (
        <ConfirmDialog
          title={ta('highlights.deleteOf', { time: timeText(asked.start) })}
          text={ta('highlights.deleteText', { name: highlightName(asked) })}
          submit={ta('highlights.delete')}
          danger
          onSubmit={() => deleteHighlight(asked.id)}
          onDone={() => done(ta('highlights.deleted'))}
          onClose={() => setAsked(null)}
        />
      )}
    </>
  );
}

/** The highlights along the film, each a button that plays from it, and where the film is played now. */
function Timeline({ items, duration }: { items: readonly Highlight[]; duration: number }) {
  const position = usePosition();
  if (duration <= 0) return null;
  const share = (seconds: number) => `${Math.min(100, (100 * seconds) / duration)}%`;
  return (
    <fieldset class="highlight-timeline" data-testid="timeline">
      <legend class="visually-hidden">{ta('highlights.timeline')}</legend>
      {items.map((highlight) => {
        const { id, start, end } = highlight;
        return (
          <button
            key={id}
            type="button"
            style={{ left: share(start), width: share(end - start) }}
            title={`${timeText(start)} ${highlightName(highlight)}`}
            aria-label={`${ta('highlights.play', { time: timeText(start) })}: ${highlightName(highlight)}`}
            onClick={() => playFrom(start)}
          />
        );
      })}
      {position !== null && <span class="highlight-playhead" style={{ left: share(position) }} />}
    </fieldset>
  );
}

const LOOK_MS = 250;

/** Where the film on the page is played, looked at four times a second; null while there is none. */
function usePosition(): number | null {
  const [position, setPosition] = useState<number | null>(null);
  useEffect(() => {
    const timer = setInterval(() => setPosition(shownPosition()), LOOK_MS);
    return () => clearInterval(timer);
  }, []);
  return position;
}
