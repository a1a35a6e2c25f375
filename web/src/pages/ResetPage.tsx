import { useState } from 'preact/hooks';
import { resetPassword } from '../api/endpoints';
import { ErrorMessage } from '../components/ErrorMessage';
import { TextField } from '../components/TextField';
import { v } from '../i18n/viewer';
import { usePageTitle } from '../lib/hooks';
import { useMutation } from '../lib/mutation';
import { AuthLayout } from './AuthLayout';

/** Sets a new password with the code of an administrator. */
export default function ResetPage() {
  const [code, setCode] = useState('');
  const [password, setPassword] = useState('');
  const [isDone, setDone] = useState(false);
  const { busy, problem, run } = useMutation();
  usePageTitle(v('reset.title'));
  if (isDone) {
    return (
      <AuthLayout title={v('reset.doneTitle')} intro={v('reset.done')}>
        <a class="button button-primary button-wide" href="/login" data-testid="reset-login">
          {v('register.backToLogin')}
        </a>
      </AuthLayout>
    );
  }
  return (
    <AuthLayout title={v('reset.title')} intro={v('reset.intro')}>
      <form
        data-testid="reset-form"
        onSubmit={(event) => {
          event.preventDefault();
          void run(() => resetPassword(code.trim(), password)).then(setDone);
        }}
      >
        <TextField
          label={v('reset.code')}
          hint={v('reset.codeHint')}
          value={code}
          onInput={setCode}
          autocomplete="one-time-code"
          required
          autofocus
          testId="reset-code"
        />
        <TextField
          label={v('login.password')}
          hint={v('register.passwordHint')}
          type="password"
          value={password}
          onInput={setPassword}
          autocomplete="new-password"
          required
          minLength={8}
          testId="reset-password"
        />
        {problem !== null && <ErrorMessage error={problem} />}
        <button
          type="submit"
          class="button button-primary button-wide"
          disabled={busy}
          data-testid="reset-submit"
        >
          {v('reset.submit')}
        </button>
      </form>
      <p class="auth-switch">
        <a href="/login">{v('register.backToLogin')}</a>
      </p>
    </AuthLayout>
  );
}
