import { useState } from 'preact/hooks';
import { changePassword } from '../../api/me';
import type { User } from '../../api/types';
import { TextField } from '../../components/TextField';
import { v } from '../../i18n/viewer';
import { SaveRow, useSaving } from './saving';

const MIN_PASSWORD_CHARS = 8;

interface Props {
  user: User;
  /** Called when the password was changed, which ends other logins. */
  onChanged: () => void;
}

export function PasswordPanel({ user, onChanged }: Props) {
  const [current, setCurrent] = useState('');
  const [next, setNext] = useState('');
  const saving = useSaving();
  return (
    <section class="panel" aria-labelledby="own-password">
      <h2 id="own-password">{v('account.password')}</h2>
      <form
        class="device-form"
        onSubmit={(event) => {
          event.preventDefault();
          void saving.save(async () => {
            await changePassword(current, next);
            setCurrent('');
            setNext('');
            onChanged();
            return v('account.passwordSaved');
          });
        }}
      >
        {/* Tells password managers whose password it is. */}
        <input type="text" autocomplete="username" value={user.login_id} readOnly hidden />
        <TextField
          label={v('account.currentPassword')}
          type="password"
          value={current}
          required
          autocomplete="current-password"
          testId="current-password"
          onInput={setCurrent}
        />
        <TextField
          label={v('account.newPassword')}
          hint={v('account.passwordHint')}
          type="password"
          value={next}
          required
          minLength={MIN_PASSWORD_CHARS}
          autocomplete="new-password"
          testId="new-password"
          onInput={(value) => {
            setNext(value);
            saving.reset();
          }}
        />
        <SaveRow saving={saving} label={v('account.changePassword')} testId="password-save" />
      </form>
    </section>
  );
}
