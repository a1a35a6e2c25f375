import { useState } from 'preact/hooks';
import { listSeries } from '../../api/admin';
import {
  applyTitles,
  listTitleTemplates,
  previewTitles,
  type TitleChoice,
  type TitleProposal,
} from '../../api/films';
import { DataTable } from '../../components/DataTable';
import { ta } from '../../i18n/admin';
import { useLoad } from '../../lib/hooks';
import { useListState } from '../../lib/listState';
import { useMutation } from '../../lib/mutation';
import { Problem, SelectField } from './forms';
import { AdminHead, ListStates, Notice } from './parts';
import { changedOf, choiceOf, fieldName, idsOf } from './titles';

const SHAPE = { template: '', series_id: '', ids: '' } as const;

/** Makes titles by a template, for the selected videos or a series. */
export function TitlesPage() {
  const { state, show } = useListState('/admin/titles', SHAPE);
  const choice = choiceOf(state);
  const [templates] = useLoad((signal) => listTitleTemplates({ signal }), []);
  const [series] = useLoad((signal) => listSeries({ signal }), []);
  const selected = idsOf(state.ids);
  const offered = series.data?.items ?? [];
  const isKnown = offered.some(({ id }) => id === state.series_id);
  return (
    <>
      <AdminHead title={ta('nav.titles')} />
      <p class="lead">{ta('titles.intro')}</p>
      <div class="title-choice">
        <SelectField
          label={ta('titles.for')}
          name="series"
          value={state.series_id}
          hint={ta('titles.hint')}
          options={[
            ['', selected.length > 0 ? ta('titles.selected', { count: selected.length }) : ta('titles.pick')],
            ...offered.map(({ id, title }) => [id, ta('titles.series', { title })] as const),
            ...(state.series_id === '' || isKnown
              ? []
              : [[state.series_id, ta('contents.otherSeries')] as const]),
          ]}
          onChange={(series_id) => show({ series_id })}
        />
        <SelectField
          label={ta('titles.template')}
          name="template"
          value={state.template}
          options={[
            ['', ta('titles.pickTemplate')],
            ...(templates.data?.items ?? []).map(({ name, text }) => [name, `${name}: ${text}`] as const),
          ]}
          onChange={(template) => show({ template })}
        />
      </div>
      {templates.data?.items.length === 0 && <p class="empty">{ta('titles.noTemplates')}</p>}
      {choice && <Preview key={JSON.stringify(choice)} choice={choice} />}
    </>
  );
}

/** What would change, and the button that changes it. */
function Preview({ choice }: { choice: TitleChoice }) {
  const [loaded, reload] = useLoad((signal) => previewTitles(choice, { signal }), [JSON.stringify(choice)]);
  const [said, setSaid] = useState<string | null>(null);
  const { busy, problem, run } = useMutation();
  const items = loaded.data?.items;
  const count = items ? changedOf(items).length : 0;
  const apply = async () => {
    let done = 0;
    const isDone = await run(async () => {
      done = (await applyTitles(choice)).items.length;
    });
    if (!isDone) return;
    setSaid(ta('titles.applied', { count: done }));
    reload();
  };
  return (
    <>
      <Notice text={said} />
      <ListStates
        loaded={loaded}
        reload={reload}
        isEmpty={items?.length === 0}
        isFiltered={false}
        empty={ta('titles.none')}
      >
        <DataTable
          caption={ta('nav.titles')}
          rows={items}
          rowId={(proposal) => proposal.video_id}
          isLoading={loaded.phase === 'loading'}
          columns={[
            {
              key: 'before',
              label: ta('titles.before'),
              class: 'title-cell',
              cell: ({ before }) => before,
            },
            {
              key: 'after',
              label: ta('titles.after'),
              class: 'title-cell',
              cell: (proposal) => <After proposal={proposal} />,
            },
          ]}
          testId="titles-table"
        />
        {items && (
          <div class="title-apply">
            <Problem error={problem} />
            {count === 0 ? (
              <p class="quiet">{ta('titles.nothing')}</p>
            ) : (
              <button
                type="button"
                class="button button-primary"
                disabled={busy}
                data-testid="apply-titles"
                onClick={() => void apply()}
              >
                {ta('titles.apply', { count })}
              </button>
            )}
          </div>
        )}
      </ListStates>
    </>
  );
}

function After({ proposal }: { proposal: TitleProposal }) {
  const { before, after, missing } = proposal;
  if (after === null) {
    return <span class="quiet">{ta('titles.missing', { field: fieldName(missing ?? '') })}</span>;
  }
  return after === before ? <span class="quiet">{ta('titles.same')}</span> : <strong>{after}</strong>;
}
