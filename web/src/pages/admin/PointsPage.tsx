import { useState } from 'preact/hooks';
import { listAccounts } from '../../api/admin';
import { isMissing } from '../../api/errors';
import { type AuditedLedger, adjustPoints, getAccount, getPointsOf } from '../../api/points';
import { DataTable } from '../../components/DataTable';
import { FormDialog } from '../../components/FormDialog';
import { TextField } from '../../components/TextField';
import { language } from '../../i18n';
import { ta } from '../../i18n/admin';
import { formatMoment, formatNumber, formatSigned } from '../../lib/format';
import { useLoad } from '../../lib/hooks';
import { pageNumber, useListState } from '../../lib/listState';
import {
  AdminHead,
  Filters,
  ListPages,
  ListStates,
  Notice,
  PAGE_SIZE,
  totalText,
  useAccountNames,
} from './parts';
import { pointsOf } from './pointsForm';
import { nameOf } from './UsersPage';

const SHAPE = { user_id: '', query: '', page: '1', cursor: '' } as const;

/** The points of one user, or the choice of one. */
export function PointsPage() {
  const { state, href, show } = useListState('/admin/points', SHAPE);
  return state.user_id === '' ? (
    <Choice query={state.query} page={state.page} href={href} show={show} />
  ) : (
    <LedgerOf key={state.user_id} userId={state.user_id} page={state.page} href={href} />
  );
}

type ListLinks = ReturnType<typeof useListState<typeof SHAPE>>;

interface ChoiceProps extends Pick<ListLinks, 'href' | 'show'> {
  query: string;
  page: string;
}

function Choice({ query, page, href, show }: ChoiceProps) {
  const [loaded, reload] = useLoad(
    (signal) => listAccounts({ query, page: pageNumber(page), page_size: PAGE_SIZE }, { signal }),
    [query, page],
  );
  return (
    <>
      <AdminHead title={ta('nav.points')} count={totalText(loaded.data)} />
      <p class="lead">
        {ta('points.intro')} {ta('points.choose')}
      </p>
      <Filters state={{ query }} onChange={show} fields={[{ name: 'query', label: ta('points.find') }]} />
      <ListStates
        loaded={loaded}
        reload={reload}
        isEmpty={loaded.data?.items.length === 0}
        isFiltered
        empty={ta('list.noMatch')}
      >
        <DataTable
          caption={ta('nav.points')}
          rows={loaded.data?.items}
          rowId={({ id }) => id}
          isLoading={loaded.phase === 'loading'}
          columns={[
            {
              key: 'user',
              label: ta('points.user'),
              cell: (user) => (
                <span class="person">
                  <strong>{nameOf(user)}</strong>
                  <span>{user.login_id}</span>
                </span>
              ),
            },
          ]}
          actionsLabel={ta('list.actions')}
          actions={(user) => (
            <a
              class="button button-small"
              href={href({ user_id: user.id, query: '' })}
              aria-label={ta('points.open', { name: nameOf(user) })}
              data-testid="open-points"
            >
              {ta('nav.points')}
            </a>
          )}
          testId="points-users"
        />
      </ListStates>
      <ListPages page={page} data={loaded.data} href={href} />
    </>
  );
}

interface LedgerProps {
  userId: string;
  page: string;
  href: ListLinks['href'];
}

function LedgerOf({ userId, page, href }: LedgerProps) {
  const [loaded, reload] = useLoad(
    (signal) => getPointsOf(userId, pageNumber(page), PAGE_SIZE, { signal }),
    [userId, page],
  );
  const [user] = useLoad(
    (signal) =>
      getAccount(userId, { signal }).catch((error) => {
        // The ledger of a deleted account stays.
        if (isMissing(error)) return null;
        throw error;
      }),
    [userId],
  );
  const adminName = useAccountNames();
  const [isAdjusting, setAdjusting] = useState(false);
  const [said, setSaid] = useState<string | null>(null);
  const name = user.data ? nameOf(user.data) : adminName(userId);
  const number = (value: number) => formatNumber(value, language.value);
  return (
    <>
      <AdminHead title={ta('points.of', { name })}>
        <a class="button" href="/admin/points">
          {ta('points.other')}
        </a>
        {loaded.data && user.data && (
          <button
            type="button"
            class="button button-primary"
            data-testid="adjust"
            onClick={() => setAdjusting(true)}
          >
            {ta('points.adjust')}
          </button>
        )}
      </AdminHead>
      {loaded.data && (
        <p class="points-balance" data-testid="points-balance">
          {ta('points.balance', { points: number(loaded.data.balance) })}
        </p>
      )}
      <Notice text={said} />
      <ListStates
        loaded={loaded}
        reload={reload}
        isEmpty={loaded.data?.items.length === 0}
        empty={ta('points.none')}
      >
        <DataTable
          caption={ta('points.of', { name })}
          rows={loaded.data?.items}
          rowId={(entry) => String(entry.number)}
          isLoading={loaded.phase === 'loading'}
          columns={[
            {
              key: 'what',
              label: ta('points.what'),
              cell: ({ reason, video_id: video }) =>
                video ? (
                  <a href={`/videos/${encodeURIComponent(video)}`}>{ta('points.view')}</a>
                ) : (
                  <span class="long-text">{reason}</span>
                ),
            },
            {
              key: 'when',
              label: ta('points.when'),
              class: 'figure',
              cell: ({ created_at: at }) => formatMoment(at, language.value),
            },
            {
              key: 'change',
              label: ta('points.change'),
              class: 'figure',
              cell: ({ points }) => (
                <span class={points < 0 ? 'loss' : 'gain'}>{formatSigned(points, language.value)}</span>
              ),
            },
            {
              key: 'after',
              label: ta('points.after'),
              class: 'figure',
              cell: ({ balance }) => number(balance),
            },
            {
              key: 'by',
              label: ta('points.by'),
              cell: ({ adjusted_by: by }) => <span class="clipped">{by === null ? '–' : adminName(by)}</span>,
            },
          ]}
          testId="points-table"
        />
      </ListStates>
      <ListPages page={page} data={loaded.data} href={href} />
      {isAdjusting && loaded.data && (
        <AdjustDialog
          userId={userId}
          name={name}
          ledger={loaded.data}
          onClose={() => setAdjusting(false)}
          onDone={(balance) => {
            setAdjusting(false);
            setSaid(ta('points.adjusted', { name, points: number(balance) }));
            reload();
          }}
        />
      )}
    </>
  );
}

interface AdjustProps {
  userId: string;
  name: string;
  ledger: AuditedLedger;
  onDone: (balance: number) => void;
  onClose: () => void;
}

function AdjustDialog({ userId, name, ledger, onDone, onClose }: AdjustProps) {
  const [amount, setAmount] = useState('');
  const [reason, setReason] = useState('');
  const points = pointsOf(amount);
  const after = ledger.balance + (points ?? 0);
  const number = (value: number) => formatNumber(value, language.value);
  return (
    <FormDialog
      title={ta('points.adjustOf', { name })}
      submit={ta('points.adjust')}
      disabled={points === null || after < 0 || reason.trim() === ''}
      onSubmit={async () => {
        if (points !== null) onDone((await adjustPoints(userId, points, reason.trim())).balance);
      }}
      onDone={() => undefined}
      onClose={onClose}
    >
      <TextField
        label={ta('points.amount')}
        hint={ta('points.amountHint')}
        value={amount}
        maxLength={9}
        required
        autocomplete="off"
        testId="points-amount"
        onInput={setAmount}
      />
      <TextField
        label={ta('points.reason')}
        hint={ta('points.reasonHint')}
        value={reason}
        maxLength={200}
        required
        autocomplete="off"
        testId="points-reason"
        onInput={setReason}
      />
      <p class="quiet" role="status" data-testid="points-result">
        {points !== null &&
          (after < 0
            ? ta('points.tooFew', { points: number(ledger.balance) })
            : ta('points.result', { points: number(after) }))}
      </p>
    </FormDialog>
  );
}
