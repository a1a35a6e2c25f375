import { useState } from 'preact/hooks';
import {
  createSeries,
  deleteSeries,
  editSeries,
  type ListedSeries,
  listSeriesPage,
  type SeriesLabels,
} from '../../api/films';
import { ConfirmDialog } from '../../components/ConfirmDialog';
import { DataTable } from '../../components/DataTable';
import { FormDialog } from '../../components/FormDialog';
import { TextField } from '../../components/TextField';
import { language, t } from '../../i18n';
import { ta } from '../../i18n/admin';
import { formatDate, formatNumber } from '../../lib/format';
import { useLoad } from '../../lib/hooks';
import { pageNumber, useListState } from '../../lib/listState';
import { InputField } from './forms';
import { AdminHead, ListPages, ListStates, Notice, PAGE_SIZE, totalText } from './parts';

const SHAPE = { page: '1', cursor: '' } as const;

type Asked = { kind: 'new' } | { kind: 'edit' | 'delete'; series: ListedSeries } | null;

/** All series. */
export function SeriesListPage() {
  const { state, href } = useListState('/admin/series', SHAPE);
  const [loaded, reload] = useLoad(
    (signal) => listSeriesPage(pageNumber(state.page), PAGE_SIZE, { signal }),
    [state.page],
  );
  const [asked, setAsked] = useState<Asked>(null);
  const [said, setSaid] = useState<string | null>(null);
  const done = (text: string) => {
    setAsked(null);
    setSaid(text);
    reload();
  };
  return (
    <>
      <AdminHead title={ta('nav.series')} count={totalText(loaded.data)}>
        <button
          type="button"
          class="button button-primary"
          data-testid="new-series"
          onClick={() => setAsked({ kind: 'new' })}
        >
          {ta('series.new')}
        </button>
      </AdminHead>
      <Notice text={said} />
      <ListStates
        loaded={loaded}
        reload={reload}
        isEmpty={loaded.data?.items.length === 0}
        empty={ta('series.empty')}
      >
        <DataTable
          caption={ta('nav.series')}
          rows={loaded.data?.items}
          rowId={({ id }) => id}
          isLoading={loaded.phase === 'loading'}
          columns={[
            {
              key: 'title',
              label: ta('series.title'),
              class: 'title-cell',
              cell: ({ id, title }) => <a href={`/series/${encodeURIComponent(id)}`}>{title}</a>,
            },
            {
              key: 'episodes',
              label: ta('series.episodes'),
              class: 'figure',
              cell: ({ episode_count: count }) => formatNumber(count, language.value),
            },
            {
              key: 'added',
              label: ta('series.added'),
              class: 'figure',
              cell: ({ created_at: at }) => formatDate(at, language.value),
            },
          ]}
          actionsLabel={ta('list.actions')}
          actions={(series) => (
            <span class="row-actions">
              <a
                class="button button-small"
                href={`/admin/titles?series_id=${series.id}`}
                aria-label={ta('series.titlesOf', { title: series.title })}
              >
                {ta('series.titles')}
              </a>
              <button
                type="button"
                class="button button-small"
                aria-label={ta('series.editOf', { title: series.title })}
                data-testid="edit-series"
                onClick={() => setAsked({ kind: 'edit', series })}
              >
                {ta('list.edit')}
              </button>
              <button
                type="button"
                class="button button-small button-danger"
                aria-label={ta('series.deleteOf', { title: series.title })}
                data-testid="delete-series"
                onClick={() => setAsked({ kind: 'delete', series })}
              >
                {ta('series.delete')}
              </button>
            </span>
          )}
          testId="series-table"
        />
      </ListStates>
      <ListPages page={state.page} data={loaded.data} href={href} />
      {asked?.kind === 'delete' && (
        <ConfirmDialog
          title={ta('series.deleteOf', { title: asked.series.title })}
          text={ta('series.deleteText')}
          submit={ta('series.delete')}
          danger
          onSubmit={() => deleteSeries(asked.series.id)}
          onDone={() => done(ta('series.deleted', { title: asked.series.title }))}
          onClose={() => setAsked(null)}
        />
      )}
      {asked?.kind === 'new' && (
        <LabelsDialog
          key="new"
          title={ta('series.new')}
          submit={ta('series.create')}
          labels={{ title: '', description: '' }}
          save={createSeries}
          onDone={(title) => done(ta('series.made', { title }))}
          onClose={() => setAsked(null)}
        />
      )}
      {asked?.kind === 'edit' && (
        <LabelsDialog
          key={asked.series.id}
          title={ta('series.editOf', { title: asked.series.title })}
          submit={t('common.save')}
          labels={asked.series}
          save={(labels) => editSeries(asked.series.id, labels)}
          onDone={(title) => done(ta('series.saved', { title }))}
          onClose={() => setAsked(null)}
        />
      )}
    </>
  );
}

interface LabelsProps {
  title: string;
  submit: string;
  labels: SeriesLabels;
  save: (labels: SeriesLabels) => Promise<unknown>;
  onDone: (title: string) => void;
  onClose: () => void;
}

function LabelsDialog({ labels, save, onDone, ...dialog }: LabelsProps) {
  const [title, setTitle] = useState(labels.title);
  const [description, setDescription] = useState(labels.description);
  return (
    <FormDialog
      {...dialog}
      disabled={title.trim() === ''}
      onSubmit={() => save({ title: title.trim(), description })}
      onDone={() => onDone(title.trim())}
    >
      <TextField
        label={ta('series.title')}
        value={title}
        maxLength={200}
        required
        autocomplete="off"
        testId="series-title"
        onInput={setTitle}
      />
      <InputField
        label={ta('series.description')}
        name="description"
        value={description}
        rows={4}
        maxLength={5000}
        onInput={setDescription}
      />
    </FormDialog>
  );
}
