import { listViews, viewsCsvAddress } from '../../api/admin';
import { DataTable } from '../../components/DataTable';
import { language } from '../../i18n';
import { ta } from '../../i18n/admin';
import { sourceText } from '../../i18n/codeText';
import { formatBytes, formatDuration, formatMoment } from '../../lib/format';
import { useLoad } from '../../lib/hooks';
import { pageNumber, startOfDay, useListState } from '../../lib/listState';
import { AdminHead, Filters, ListPages, ListStates, PAGE_SIZE, shortId, totalText } from './parts';

const SHAPE = { user_id: '', video_id: '', from: '', to: '', page: '1', cursor: '' } as const;

/** Who watched what. */
export function ViewsPage() {
  const { state, href, show } = useListState('/admin/views', SHAPE);
  const filter = {
    user_id: state.user_id,
    video_id: state.video_id,
    from: startOfDay(state.from),
    to: startOfDay(state.to, 1),
  };
  const [loaded, reload] = useLoad(
    (signal) =>
      listViews(
        { ...filter, page: pageNumber(state.page), cursor: state.cursor, page_size: PAGE_SIZE },
        { signal },
      ),
    [JSON.stringify(state)],
  );
  return (
    <>
      <AdminHead title={ta('nav.views')} count={totalText(loaded.data)}>
        <a class="button" href={viewsCsvAddress(filter)} download="views.csv" data-testid="views-csv">
          {ta('views.csv')}
        </a>
      </AdminHead>
      <Filters
        state={state}
        onChange={(change) => show(change as Partial<typeof state>)}
        fields={[
          { name: 'user_id', label: ta('views.userId') },
          { name: 'video_id', label: ta('views.videoId') },
          { name: 'from', label: ta('list.from'), kind: 'date' },
          { name: 'to', label: ta('list.to'), kind: 'date' },
        ]}
      />
      <ListStates
        loaded={loaded}
        reload={reload}
        isEmpty={loaded.data?.items.length === 0}
        isFiltered={Object.values(filter).some(Boolean)}
        empty={ta('views.empty')}
      >
        <DataTable
          caption={ta('nav.views')}
          rows={loaded.data?.items}
          rowId={({ session_id: id }) => id}
          isLoading={loaded.phase === 'loading'}
          columns={[
            {
              key: 'video',
              label: ta('streams.what'),
              cell: ({ video_id: id, video_title: title }) => (
                <a class="clipped" href={href({ video_id: id })} title={title ?? id}>
                  {title ?? shortId(id)}
                </a>
              ),
            },
            {
              key: 'user',
              label: ta('streams.who'),
              cell: ({ user_id: id, login_id: login }) => (
                <a class="clipped" href={href({ user_id: id })} title={id}>
                  {login ?? shortId(id)}
                </a>
              ),
            },
            {
              key: 'started',
              label: ta('views.started'),
              class: 'figure',
              cell: ({ started_at: at }) => formatMoment(at, language.value),
            },
            {
              key: 'seconds',
              label: ta('views.watched'),
              class: 'figure',
              cell: ({ stopped_at: end, seconds }) =>
                end === null
                  ? ta('views.now')
                  : seconds === null
                    ? '–'
                    : formatDuration(seconds, language.value),
            },
            {
              key: 'bytes',
              label: ta('streams.bytes'),
              class: 'figure',
              cell: ({ bytes }) => (bytes === null ? '–' : formatBytes(bytes)),
            },
            { key: 'source', label: ta('streams.source'), cell: ({ source }) => sourceText(source) || '–' },
          ]}
          testId="views-table"
        />
      </ListStates>
      <ListPages page={state.page} data={loaded.data} href={href} />
    </>
  );
}
