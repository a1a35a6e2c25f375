import { useState } from 'preact/hooks';
import { listTrash, restoreContent, type TrashedContent } from '../../api/admin';
import { DataTable } from '../../components/DataTable';
import { language } from '../../i18n';
import { ta } from '../../i18n/admin';
import { formatSince } from '../../lib/format';
import { useLoad } from '../../lib/hooks';
import { pageNumber, useListState } from '../../lib/listState';
import { useMutation } from '../../lib/mutation';
import { ContentTitle } from './ContentsPage';
import { Problem } from './forms';
import { AdminHead, ListPages, ListStates, Notice, PAGE_SIZE, totalText, useAccountNames } from './parts';

const SHAPE = { page: '1', cursor: '' } as const;

/** What was deleted and can still be taken back. */
export function TrashPage() {
  const { state, href } = useListState('/admin/trash', SHAPE);
  const [loaded, reload] = useLoad(
    (signal) => listTrash(pageNumber(state.page), PAGE_SIZE, { signal }),
    [state.page],
  );
  const nameOf = useAccountNames();
  const [said, setSaid] = useState<string | null>(null);
  const { busy, problem, run } = useMutation();
  const restore = async (content: TrashedContent) => {
    if (await run(() => restoreContent(content.id))) {
      setSaid(ta('trash.restored', { title: content.title }));
      reload();
    }
  };
  return (
    <>
      <AdminHead title={ta('nav.trash')} count={totalText(loaded.data)} />
      <p class="lead">{ta('trash.intro')}</p>
      <Notice text={said} />
      <Problem error={problem} />
      <ListStates
        loaded={loaded}
        reload={reload}
        isEmpty={loaded.data?.items.length === 0}
        empty={ta('trash.empty')}
      >
        <DataTable
          caption={ta('nav.trash')}
          rows={loaded.data?.items}
          rowId={({ id }) => id}
          isLoading={loaded.phase === 'loading'}
          columns={[
            {
              key: 'title',
              label: ta('contents.title'),
              cell: (content) => <ContentTitle content={content} isDeleted />,
            },
            {
              key: 'uploader',
              label: ta('trash.uploader'),
              cell: ({ uploader_id: id }) => <span class="clipped">{nameOf(id)}</span>,
            },
            {
              key: 'deleted',
              label: ta('trash.deleted'),
              class: 'figure',
              cell: ({ deleted_at: at }) => formatSince(at, language.value),
            },
          ]}
          actionsLabel={ta('list.actions')}
          actions={(content) => (
            <button
              type="button"
              class="button button-small"
              disabled={busy}
              aria-label={ta('trash.restoreOf', { title: content.title })}
              data-testid="restore"
              onClick={() => void restore(content)}
            >
              {ta('trash.restore')}
            </button>
          )}
          testId="trash-table"
        />
      </ListStates>
      <ListPages page={state.page} data={loaded.data} href={href} />
    </>
  );
}
