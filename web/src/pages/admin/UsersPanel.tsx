import { useState } from 'preact/hooks';
import { approveUser, listUsers } from '../../api/endpoints';
import type { User } from '../../api/types';
import { ErrorMessage } from '../../components/ErrorMessage';
import { Icon } from '../../components/Icon';
import { language, t } from '../../i18n';
import { ta } from '../../i18n/admin';
import { formatDate } from '../../lib/format';
import { useLoad } from '../../lib/hooks';

const PAGE_SIZE = 50;

export function UsersPanel() {
  const [pages, setPages] = useState(1);
  const [busy, setBusy] = useState<string | null>(null);
  const [approved, setApproved] = useState<string | null>(null);
  const [problem, setProblem] = useState<unknown>(null);
  const [pending, reloadPending] = useLoad(
    (signal) => listUsers({ status: 'pending', pageSize: 100 }, { signal }),
    [],
  );
  const [everyone, reloadEveryone] = useLoad((signal) => loadPages(pages, signal), [pages]);

  const approve = async (user: User) => {
    setBusy(user.id);
    setProblem(null);
    try {
      await approveUser(user.id);
      setApproved(nameOf(user));
      reloadPending();
      reloadEveryone();
    } catch (error) {
      setProblem(error);
    } finally {
      setBusy(null);
    }
  };

  return (
    <div class="admin-users">
      <section class="panel" aria-labelledby="pending-users" data-testid="pending-users">
        <div class="section-head">
          <h2 id="pending-users">{ta('admin.pending')}</h2>
          {pending.data && pending.data.total > 0 && <span class="badge">{pending.data.total}</span>}
        </div>
        {pending.phase === 'failed' && <ErrorMessage error={pending.error} onRetry={reloadPending} retries />}
        {problem !== null && <ErrorMessage error={problem} />}
        <p class="approved" role="status">
          {approved !== null && (
            <>
              <Icon name="check" size={18} /> {ta('admin.approved', { name: approved })}
            </>
          )}
        </p>
        {pending.data?.items.length === 0 && <p class="quiet">{ta('admin.pendingNone')}</p>}
        <ul class="people">
          {pending.data?.items.map((user) => (
            <li key={user.id}>
              <Person user={user} />
              <button
                type="button"
                class="button button-primary"
                disabled={busy === user.id}
                aria-label={ta('admin.approveUser', { name: nameOf(user) })}
                data-testid="approve-user"
                onClick={() => void approve(user)}
              >
                {ta('admin.approve')}
              </button>
            </li>
          ))}
        </ul>
      </section>

      <section class="panel" aria-labelledby="all-users" data-testid="all-users">
        <div class="section-head">
          <h2 id="all-users">{ta('admin.users')}</h2>
          {everyone.data && <span class="count">{everyone.data.total}</span>}
        </div>
        {everyone.phase === 'failed' && (
          <ErrorMessage error={everyone.error} onRetry={reloadEveryone} retries />
        )}
        {everyone.data && <UserTable users={everyone.data.items} />}
        {everyone.data && everyone.data.items.length < everyone.data.total && (
          <div class="more">
            <button type="button" class="button" onClick={() => setPages(pages + 1)}>
              {t('common.loadMore')}
            </button>
          </div>
        )}
      </section>
    </div>
  );
}

async function loadPages(pages: number, signal: AbortSignal) {
  const results = await Promise.all(
    Array.from({ length: pages }, (_, index) =>
      listUsers({ page: index + 1, pageSize: PAGE_SIZE }, { signal }),
    ),
  );
  return { items: results.flatMap(({ items }) => items), total: results[0]?.total ?? 0 };
}

function UserTable({ users }: { users: User[] }) {
  return (
    <div class="table-scroll">
      <table class="stacking">
        <thead>
          <tr>
            <th scope="col">{ta('admin.user')}</th>
            <th scope="col">{ta('admin.role')}</th>
            <th scope="col">{ta('admin.status')}</th>
            <th scope="col">{ta('admin.since')}</th>
          </tr>
        </thead>
        <tbody>
          {users.map((user) => (
            <tr key={user.id}>
              <td>
                <Person user={user} />
              </td>
              <td data-label={ta('admin.role')}>{t(`role.${user.role}`)}</td>
              <td data-label={ta('admin.status')}>
                <span class={`chip chip-${user.status}`}>{t(`status.${user.status}`)}</span>
              </td>
              <td data-label={ta('admin.since')}>
                {user.created_at ? formatDate(user.created_at, language.value) : ''}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Person({ user }: { user: User }) {
  return (
    <span class="person">
      <strong>{nameOf(user)}</strong>
      <span>{user.login_id}</span>
    </span>
  );
}

const nameOf = (user: User): string => user.display_name || user.login_id;
