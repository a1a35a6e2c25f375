import { listAudit } from '../../api/admin';
import { DataTable } from '../../components/DataTable';
import { language } from '../../i18n';
import { adminCodeText, codesOf, ta } from '../../i18n/admin';
import { formatMoment } from '../../lib/format';
import { useLoad } from '../../lib/hooks';
import { pageNumber, startOfDay, useListState } from '../../lib/listState';
import {
  AdminHead,
  Filters,
  ListPages,
  ListStates,
  PAGE_SIZE,
  shortId,
  totalText,
  useAccountNames,
} from './parts';

const SHAPE = {
  action: '',
  actor_id: '',
  target_id: '',
  since: '',
  until: '',
  page: '1',
  cursor: '',
} as const;

/** Who did what. */
export function AuditPage() {
  const { state, href, show } = useListState('/admin/audit', SHAPE);
  const [loaded, reload] = useLoad(
    (signal) =>
      listAudit(
        {
          action: state.action,
          actor_id: state.actor_id,
          target_id: state.target_id,
          since: startOfDay(state.since),
          until: startOfDay(state.until, 1),
          page: pageNumber(state.page),
          cursor: state.cursor,
          page_size: PAGE_SIZE,
        },
        { signal },
      ),
    [JSON.stringify(state)],
  );
  const nameOf = useAccountNames();
  return (
    <>
      <AdminHead title={ta('nav.audit')} count={totalText(loaded.data)} />
      <Filters
        state={state}
        onChange={(change) => show(change as Partial<typeof state>)}
        fields={[
          { name: 'action', label: ta('audit.action'), suggestions: codesOf('action') },
          { name: 'actor_id', label: ta('audit.actorId') },
          { name: 'target_id', label: ta('audit.targetId') },
          { name: 'since', label: ta('list.from'), kind: 'date' },
          { name: 'until', label: ta('list.to'), kind: 'date' },
        ]}
      />
      <ListStates
        loaded={loaded}
        reload={reload}
        isEmpty={loaded.data?.items.length === 0}
        isFiltered
        empty={ta('list.noMatch')}
      >
        <DataTable
          caption={ta('nav.audit')}
          rows={loaded.data?.items}
          rowId={({ id }) => id}
          isLoading={loaded.phase === 'loading'}
          columns={[
            {
              key: 'action',
              label: ta('audit.action'),
              cell: ({ action }) => (
                <span class="person">
                  <strong>{adminCodeText('action', action)}</strong>
                  <span>{action}</span>
                </span>
              ),
            },
            {
              key: 'at',
              label: ta('audit.at'),
              class: 'figure',
              cell: ({ at }) => formatMoment(at, language.value),
            },
            {
              key: 'actor',
              label: ta('audit.actor'),
              cell: ({ actor_id: actor }) =>
                actor === null ? (
                  '–'
                ) : (
                  <a href={href({ actor_id: actor })} title={actor}>
                    {nameOf(actor)}
                  </a>
                ),
            },
            {
              key: 'target',
              label: ta('audit.target'),
              cell: ({ target_kind: kind, target_id: target }) => (
                <span>
                  {adminCodeText('target', kind)}{' '}
                  {target && (
                    <a href={href({ target_id: target })} title={target}>
                      {kind === 'user' ? nameOf(target) : shortId(target)}
                    </a>
                  )}
                </span>
              ),
            },
            { key: 'address', label: ta('audit.address'), cell: ({ client_address: from }) => from || '–' },
            {
              key: 'details',
              label: ta('audit.details'),
              class: 'long-cell',
              cell: ({ details }) => detailsText(details),
            },
          ]}
          testId="audit-table"
        />
      </ListStates>
      <ListPages page={state.page} data={loaded.data} href={href} />
    </>
  );
}

/** Returns the details of an action on one line: "title: Heat, changed: title, tags". */
export function detailsText(details: Readonly<Record<string, unknown>>): string {
  const texts = Object.entries(details).map(([name, value]) => {
    if (Array.isArray(value)) return `${name}: ${value.join(', ')}`;
    return `${name}: ${typeof value === 'object' ? JSON.stringify(value) : String(value)}`;
  });
  return texts.join(' · ') || '–';
}
