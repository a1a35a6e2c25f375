import { useState } from 'preact/hooks';
import { logout } from '../../api/endpoints';
import { deleteAccount } from '../../api/me';
import type { User } from '../../api/types';
import { ConfirmDialog } from '../../components/ConfirmDialog';
import { language } from '../../i18n';
import { v } from '../../i18n/viewer';
import { formatNumber } from '../../lib/format';
import { forgetViewer } from '../../session/session';

interface Props {
  user: User;
  /** Null while it is unknown. */
  points: number | null;
}

/** Deletes the account, after it says what is erased and the viewer has typed the login. */
export function LeavePanel({ user, points }: Props) {
  const [isAsking, setAsking] = useState(false);

  const leave = async () => {
    await deleteAccount();
    forgetViewer();
    await import('../../lsv/offline')
      .then(({ forgetDownloads }) => forgetDownloads(user.id))
      .catch(() => undefined);
    // Removes the cookies; they are worth nothing any more.
    await logout().catch(() => undefined);
    // A fresh page, so that nothing of this user stays in memory for the next one.
    location.assign('/login');
  };

  return (
    <section class="panel" aria-labelledby="leave">
      <h2 id="leave">{v('account.leave')}</h2>
      <p>{v('account.leaveText')}</p>
      <ul class="erased" data-testid="erased">
        <li>{v('account.leave.account')}</li>
        <li>{v('account.leave.history')}</li>
        <li>{v('account.leave.lists')}</li>
        <li>
          {v('account.leave.points', {
            points: points === null ? '–' : formatNumber(points, language.value),
          })}
        </li>
      </ul>
      {user.can_upload && <p class="quiet">{v('account.leaveUploads')}</p>}
      <button type="button" class="button button-danger" data-testid="leave" onClick={() => setAsking(true)}>
        {v('account.leaveButton')}
      </button>
      {isAsking && (
        <ConfirmDialog
          title={v('account.leaveTitle')}
          text={v('account.leaveConfirm', { login: user.login_id })}
          typed={{ text: user.login_id, label: v('account.leaveLogin') }}
          submit={v('account.leaveAction')}
          danger
          onSubmit={leave}
          onDone={() => setAsking(false)}
          onClose={() => setAsking(false)}
        />
      )}
    </section>
  );
}
