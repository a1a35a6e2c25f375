import { useState } from 'preact/hooks';
import { type Account, deleteAccount, issueResetCode, listAccounts, setApproved } from '../../api/admin';
import type { Role, User, UserStatus } from '../../api/types';
import { ConfirmDialog } from '../../components/ConfirmDialog';
import { type Column, DataTable } from '../../components/DataTable';
import { language, t } from '../../i18n';
import { ta } from '../../i18n/admin';
import { formatDate } from '../../lib/format';
import { useLoad } from '../../lib/hooks';
import { pageNumber, useListState } from '../../lib/listState';
import { useMutation } from '../../lib/mutation';
import { Problem } from './forms';
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
import { ChangeUserDialog, NewUserDialog, ResetCodeDialog } from './UserDialogs';

const SHAPE = {
  query: '',
  status: ['', 'pending', 'active', 'suspended'],
  role: ['', 'admin', 'member'],
  corporation_id: '',
  page: '1',
  cursor: '',
} as const;

type Asked =
  | { kind: 'new' }
  | { kind: 'change' | 'delete' | 'suspend' | 'reset'; user: Account }
  | { kind: 'code'; user: Account; code: string; expires: string }
  | null;

export const nameOf = (user: Pick<Account, 'display_name' | 'login_id'>): string =>
  user.display_name || user.login_id;

/** All accounts. */
export function UsersPage({ user: me }: { user: User }) {
  const { state, href, show } = useListState('/admin/users', SHAPE);
  const [loaded, reload] = useLoad(
    (signal) =>
      listAccounts(
        {
          query: state.query,
          status: state.status as UserStatus | '',
          role: state.role as Role | '',
          corporation_id: state.corporation_id,
          page: pageNumber(state.page),
          page_size: PAGE_SIZE,
        },
        { signal },
      ),
    [JSON.stringify(state)],
  );
  const corporations = useCorporations();
  const [asked, setAsked] = useState<Asked>(null);
  const [said, setSaid] = useState<string | null>(null);
  const { busy, problem, run } = useMutation();
  const done = (text: string) => {
    setAsked(null);
    setSaid(text);
    reload();
  };
  const approve = async (user: Account) => {
    if (await run(() => setApproved(user.id, true))) done(ta('admin.approved', { name: nameOf(user) }));
  };
  const names = new Map(corporations.map(({ id, name }) => [id, name]));

  return (
    <>
      <AdminHead title={ta('nav.users')} count={totalText(loaded.data)}>
        <button
          type="button"
          class="button button-primary"
          data-testid="new-user"
          onClick={() => setAsked({ kind: 'new' })}
        >
          {ta('users.new')}
        </button>
      </AdminHead>
      <Filters
        state={state}
        onChange={(change) => show(change as Partial<typeof state>)}
        fields={[
          { name: 'query', label: ta('users.search') },
          {
            name: 'status',
            label: ta('admin.status'),
            options: [
              ['', ta('list.all')],
              ['pending', t('status.pending')],
              ['active', t('status.active')],
              ['suspended', t('status.suspended')],
            ],
          },
          {
            name: 'role',
            label: ta('admin.role'),
            options: [
              ['', ta('list.all')],
              ['admin', t('role.admin')],
              ['member', t('role.member')],
            ],
          },
          {
            name: 'corporation_id',
            label: ta('contents.corporation'),
            options: [['', ta('list.all')], ...corporations.map(({ id, name }) => [id, name] as const)],
          },
        ]}
      />
      <Notice text={said} />
      <Problem error={problem} />
      <ListStates
        loaded={loaded}
        reload={reload}
        isEmpty={loaded.data?.items.length === 0}
        isFiltered
        empty={ta('list.noMatch')}
      >
        <DataTable
          caption={ta('nav.users')}
          columns={columnsOf(names)}
          rows={loaded.data?.items}
          rowId={({ id }) => id}
          isLoading={loaded.phase === 'loading'}
          actionsLabel={ta('list.actions')}
          actions={(user) => (
            <UserActions
              user={user}
              isMe={user.id === me.id}
              busy={busy}
              onApprove={() => void approve(user)}
              onAsk={(kind) => setAsked({ kind, user })}
            />
          )}
          testId="users-table"
        />
      </ListStates>
      <ListPages page={state.page} data={loaded.data} href={href} />
      <UserDialog asked={asked} corporations={corporations} setAsked={setAsked} onDone={done} />
    </>
  );
}

function columnsOf(corporations: ReadonlyMap<string, string>): Column<Account>[] {
  return [
    {
      key: 'user',
      label: ta('admin.user'),
      cell: (user) => (
        <span class="person">
          <strong>{nameOf(user)}</strong>
          <span>{user.login_id}</span>
        </span>
      ),
    },
    { key: 'role', label: ta('admin.role'), cell: ({ role }) => t(`role.${role}`) },
    {
      key: 'status',
      label: ta('admin.status'),
      cell: ({ status }) => <span class={`chip chip-${status}`}>{t(`status.${status}`)}</span>,
    },
    {
      key: 'corporation',
      label: ta('contents.corporation'),
      cell: ({ corporation_id: id }) => (
        <span class="clipped">
          {id === null ? '–' : (corporations.get(id) ?? ta('contents.otherCorporation'))}
        </span>
      ),
    },
    {
      key: 'since',
      label: ta('admin.since'),
      class: 'figure',
      cell: ({ created_at: at }) => formatDate(at, language.value),
    },
    {
      key: 'uploads',
      label: ta('list.see'),
      cell: (user) => (
        <span class="row-links">
          <a
            href={`/admin/contents?uploader_id=${user.id}`}
            aria-label={ta('users.uploadsOf', { name: nameOf(user) })}
          >
            {ta('users.uploads')}
          </a>
          <a
            href={`/admin/views?user_id=${user.id}`}
            aria-label={ta('users.viewsOf', { name: nameOf(user) })}
          >
            {ta('users.views')}
          </a>
          <a
            href={`/admin/licences?user_id=${user.id}`}
            aria-label={ta('users.licencesOf', { name: nameOf(user) })}
          >
            {ta('users.licences')}
          </a>
          <a
            href={`/admin/points?user_id=${user.id}`}
            aria-label={ta('users.pointsOf', { name: nameOf(user) })}
          >
            {ta('users.points')}
          </a>
        </span>
      ),
    },
  ];
}

interface ActionProps {
  user: Account;
  /** The administrator's own account: shutting oneself out is not offered. */
  isMe: boolean;
  busy: boolean;
  onApprove: () => void;
  onAsk: (kind: 'change' | 'delete' | 'suspend' | 'reset') => void;
}

function UserActions({ user, isMe, busy, onApprove, onAsk }: ActionProps) {
  const name = nameOf(user);
  const asks = (kind: Parameters<typeof onAsk>[0], danger = false) => (
    <button
      type="button"
      class={danger ? 'button button-small button-danger' : 'button button-small'}
      aria-label={ta(`users.${kind}Of`, { name })}
      data-testid={`${kind}-user`}
      onClick={() => onAsk(kind)}
    >
      {ta(`users.${kind}`)}
    </button>
  );
  return (
    <span class="row-actions">
      {user.status !== 'active' && (
        <button
          type="button"
          class="button button-small"
          disabled={busy}
          aria-label={ta('admin.approveUser', { name })}
          data-testid="approve-user"
          onClick={onApprove}
        >
          {user.status === 'suspended' ? ta('users.resume') : ta('admin.approve')}
        </button>
      )}
      {asks('change')}
      {user.status !== 'pending' && asks('reset')}
      {user.status === 'active' && !isMe && asks('suspend')}
      {!isMe && asks('delete', true)}
    </span>
  );
}

interface DialogProps {
  asked: Asked;
  corporations: readonly { id: string; name: string }[];
  setAsked: (asked: Asked) => void;
  onDone: (text: string) => void;
}

function UserDialog({ asked, corporations, setAsked, onDone }: DialogProps) {
  if (asked === null) return null;
  const close = () => setAsked(null);
  if (asked.kind === 'new') {
    return (
      <NewUserDialog
        corporations={corporations}
        onDone={(name) => onDone(ta('users.created', { name }))}
        onClose={close}
      />
    );
  }
  const { user } = asked;
  const name = nameOf(user);
  switch (asked.kind) {
    case 'change':
      return (
        <ChangeUserDialog
          user={user}
          corporations={corporations}
          onDone={() => onDone(ta('users.changed', { name }))}
          onClose={close}
        />
      );
    case 'suspend':
      return (
        <ConfirmDialog
          key="suspend"
          title={ta('users.suspendOf', { name })}
          text={ta('users.suspendText')}
          submit={ta('users.suspend')}
          danger
          onSubmit={() => setApproved(user.id, false)}
          onDone={() => onDone(ta('users.suspended', { name }))}
          onClose={close}
        />
      );
    case 'delete':
      return (
        <ConfirmDialog
          key="delete"
          title={ta('users.deleteOf', { name })}
          text={ta('users.deleteText')}
          submit={ta('users.delete')}
          typed={{ text: user.login_id, label: ta('confirm.type', { text: user.login_id }) }}
          danger
          onSubmit={() => deleteAccount(user.id)}
          onDone={() => onDone(ta('users.deleted', { name }))}
          onClose={close}
        />
      );
    case 'reset':
      return (
        <ConfirmDialog
          key="reset"
          title={ta('users.resetOf', { name })}
          text={ta('users.resetText')}
          submit={ta('users.resetMake')}
          onSubmit={async () => {
            const { code, expires_at: expires } = await issueResetCode(user.id);
            setAsked({ kind: 'code', user, code, expires });
          }}
          onDone={() => undefined}
          onClose={close}
        />
      );
    case 'code':
      return <ResetCodeDialog name={name} code={asked.code} expires={asked.expires} onClose={close} />;
  }
}
