import { useState } from 'preact/hooks';
import { type Content, listContents } from '../../api/admin';
import { reprocessVideo } from '../../api/endpoints';
import type { VideoStatus } from '../../api/types';
import { type Column, DataTable } from '../../components/DataTable';
import { Icon } from '../../components/Icon';
import { language } from '../../i18n';
import { ta } from '../../i18n/admin';
import { failureText } from '../../i18n/codeText';
import { formatClock, formatDate } from '../../lib/format';
import { useLoad } from '../../lib/hooks';
import { pageNumber, useListState } from '../../lib/listState';
import { useMutation } from '../../lib/mutation';
import { stillShown } from '../../lib/selection';
import { BulkBar } from './BulkBar';
import { EditContentDialog } from './EditContentDialog';
import { Problem } from './forms';
import { ProtectionDialog } from './ProtectionDialog';
import {
  AdminHead,
  Filters,
  ListPages,
  ListStates,
  Notice,
  PAGE_SIZE,
  totalText,
  useCorporations,
} from './parts';
import { SubtitlesDialog } from './SubtitlesDialog';

const SORTS = ['-created_at', 'created_at', 'title', '-title', 'duration_sec', '-duration_sec'] as const;
const STATUSES = ['ready', 'processing', 'failed'] as const;
const SHAPE = {
  query: '',
  status: ['', ...STATUSES],
  tag: '',
  corporation_id: '',
  uploader_id: '',
  sort: SORTS,
  page: '1',
  cursor: '',
} as const;

/** All videos, whatever their state. */
export function ContentsPage() {
  const { state, href, show } = useListState('/admin/contents', SHAPE);
  const address = JSON.stringify(state);
  const [loaded, reload] = useLoad(
    (signal) =>
      listContents(
        {
          ...state,
          status: state.status as VideoStatus | '',
          page: pageNumber(state.page),
          page_size: PAGE_SIZE,
        },
        { signal },
      ),
    [address],
  );
  const corporations = useCorporations();
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const [edited, setEdited] = useState<Content | null>(null);
  const [subtitled, setSubtitled] = useState<Content | null>(null);
  const [guarded, setGuarded] = useState<Content | null>(null);
  const [said, setSaid] = useState<string | null>(null);
  const retry = useMutation();
  const rows = loaded.data?.items;
  const selected = stillShown(chosen, rows?.map(({ id }) => id) ?? []);
  const corporationNames = new Map(corporations.map(({ id, name }) => [id, name]));

  const reprocess = async (content: Content) => {
    if (await retry.run(() => reprocessVideo(content.id))) {
      setSaid(ta('contents.reprocessing', { title: content.title }));
      reload();
    }
  };

  return (
    <>
      <AdminHead title={ta('nav.contents')} count={totalText(loaded.data)}>
        <a class="button" href="/upload">
          {ta('contents.upload')}
        </a>
      </AdminHead>
      <Filters
        state={state}
        onChange={(change) => show(change as Partial<typeof state>)}
        fields={[
          { name: 'query', label: ta('contents.search') },
          {
            name: 'status',
            label: ta('contents.status'),
            options: [['', ta('list.all')], ...STATUSES.map(statusOption)],
          },
          { name: 'tag', label: ta('contents.tag') },
          {
            name: 'corporation_id',
            label: ta('contents.corporation'),
            options: [['', ta('list.all')], ...corporations.map(({ id, name }) => [id, name] as const)],
          },
          {
            name: 'sort',
            label: ta('list.sort'),
            options: SORTS.map((sort) => [sort, ta(`contents.sort.${sort}`)] as const),
            narrowOnly: true,
          },
        ]}
      />
      {state.uploader_id && (
        <p class="filter-chip">
          {ta('contents.ofUploader')}{' '}
          <a class="button button-quiet" href={href({ uploader_id: '' })}>
            {ta('list.clear')}
          </a>
        </p>
      )}
      <Notice text={said} />
      <Problem error={retry.problem} />
      <ListStates
        loaded={loaded}
        reload={reload}
        isEmpty={rows?.length === 0}
        isFiltered={Boolean(state.query || state.status || state.tag || state.corporation_id)}
        empty={ta('contents.empty')}
      >
        <DataTable
          caption={ta('nav.contents')}
          columns={columnsOf(corporationNames)}
          rows={rows}
          rowId={({ id }) => id}
          isLoading={loaded.phase === 'loading'}
          sort={state.sort}
          onSort={(sort) => show({ sort })}
          selection={{
            selected,
            onChange: setChosen,
            label: ({ title }) => ta('list.select', { name: title }),
            allLabel: ta('list.selectAll'),
          }}
          actionsLabel={ta('list.actions')}
          actions={(content) => (
            <span class="row-actions">
              {content.status === 'failed' && (
                <button
                  type="button"
                  class="button button-small"
                  aria-label={ta('contents.retryOf', { title: content.title })}
                  disabled={retry.busy}
                  onClick={() => void reprocess(content)}
                >
                  {ta('contents.retry')}
                </button>
              )}
              <a
                class="button button-small"
                href={`/admin/highlights?video_id=${content.id}`}
                aria-label={ta('highlights.editOf', { title: content.title })}
                data-testid="edit-highlights"
              >
                {ta('highlights.button')}
              </a>
              <button
                type="button"
                class="button button-small"
                aria-label={ta('subtitles.of', { title: content.title })}
                data-testid="subtitles"
                onClick={() => setSubtitled(content)}
              >
                {ta('subtitles.button')}
              </button>
              <button
                type="button"
                class="button button-small"
                aria-label={ta('protection.of', { title: content.title })}
                data-testid="protection"
                onClick={() => setGuarded(content)}
              >
                {ta('protection.button')}
              </button>
              <button
                type="button"
                class="button button-small"
                aria-label={ta('contents.editOf', { title: content.title })}
                data-testid="edit-content"
                onClick={() => setEdited(content)}
              >
                {ta('list.edit')}
              </button>
            </span>
          )}
          testId="contents-table"
        />
      </ListStates>
      <ListPages page={state.page} data={loaded.data} href={href} />
      {rows && selected.size > 0 && (
        <BulkBar
          contents={rows.filter(({ id }) => selected.has(id))}
          all={rows.length}
          corporations={corporations}
          onSelectAll={() => setChosen(new Set(rows.map(({ id }) => id)))}
          onClear={() => setChosen(new Set())}
          onDone={(text, left) => {
            setSaid(text);
            setChosen(new Set(left));
            reload();
          }}
        />
      )}
      {subtitled && <SubtitlesDialog content={subtitled} onClose={() => setSubtitled(null)} />}
      {guarded && (
        <ProtectionDialog
          content={guarded}
          onClose={(isChanged) => {
            setGuarded(null);
            if (isChanged) reload();
          }}
        />
      )}
      {edited && (
        <EditContentDialog
          key={edited.id}
          content={edited}
          corporations={corporations}
          onClose={() => setEdited(null)}
          onDone={() => {
            setSaid(ta('contents.saved', { title: edited.title }));
            setEdited(null);
            reload();
          }}
        />
      )}
    </>
  );
}

const statusOption = (status: VideoStatus): readonly [string, string] => [
  status,
  ta(`contents.status.${status}`),
];

function columnsOf(corporations: ReadonlyMap<string, string>): Column<Content>[] {
  return [
    {
      key: 'title',
      label: ta('contents.title'),
      sort: { ascending: 'title', descending: '-title' },
      cell: (content) => <ContentTitle content={content} />,
    },
    {
      key: 'status',
      label: ta('contents.status'),
      cell: ({ status, protection }) => (
        <span class="chips">
          <span class={`chip chip-${status}`} data-testid="content-status">
            {ta(`contents.status.${status}`)}
          </span>
          {protection === 'lsv' && (
            <span class="chip" data-testid="content-protection">
              {ta('protection.chip')}
            </span>
          )}
        </span>
      ),
    },
    {
      key: 'tags',
      label: ta('contents.tags'),
      class: 'wide-cell',
      cell: ({ tags }) => (
        <span class="clipped" title={tags.join(', ')}>
          {tags.join(', ') || '–'}
        </span>
      ),
    },
    {
      key: 'corporation',
      label: ta('contents.corporation'),
      cell: ({ corporation_id: id }) => (
        <span class="clipped">
          {id === null ? ta('contents.platform') : (corporations.get(id) ?? ta('contents.otherCorporation'))}
        </span>
      ),
    },
    {
      key: 'duration',
      label: ta('contents.duration'),
      class: 'figure',
      sort: { ascending: 'duration_sec', descending: '-duration_sec' },
      cell: ({ duration_sec: seconds }) => (seconds === null ? '–' : formatClock(seconds)),
    },
    {
      key: 'created',
      label: ta('contents.added'),
      class: 'figure',
      sort: { ascending: 'created_at', descending: '-created_at' },
      cell: ({ created_at: at }) => formatDate(at, language.value),
    },
  ];
}

/** The picture and title of a video, and why it failed. A deleted one has neither a picture nor a page to watch it. */
export function ContentTitle({ content, isDeleted = false }: { content: Content; isDeleted?: boolean }) {
  const { id, title, status, thumbnail_url: picture } = content;
  return (
    <span class="content-title">
      {picture && !isDeleted ? (
        <img src={picture} alt="" loading="lazy" decoding="async" width="72" height="40" />
      ) : (
        <span class="content-placeholder">
          <Icon name={status === 'failed' ? 'alert' : 'film'} size={18} />
        </span>
      )}
      <span class="content-name">
        {status === 'ready' && !isDeleted ? (
          <a href={`/watch/${encodeURIComponent(id)}`} title={title}>
            {title}
          </a>
        ) : (
          <span title={title}>{title}</span>
        )}
        {status === 'failed' && (
          <span class="content-failure" data-testid="failure">
            {failureText(content)}
          </span>
        )}
      </span>
    </span>
  );
}
