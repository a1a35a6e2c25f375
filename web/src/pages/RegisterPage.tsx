import { useState } from 'preact/hooks';
import { useLocation } from 'preact-iso';
import { register } from '../api/endpoints';
import { ErrorMessage } from '../components/ErrorMessage';
import { TextField } from '../components/TextField';
import { v } from '../i18n/viewer';
import { usePageTitle } from '../lib/hooks';
import { AuthLayout } from './AuthLayout';

export default function RegisterPage() {
  const { route } = useLocation();
  const [loginId, setLoginId] = useState('');
  const [displayName, setDisplayName] = useState('');
  const [password, setPassword] = useState('');
  const [working, setWorking] = useState(false);
  const [pending, setPending] = useState(false);
  const [error, setError] = useState<unknown>(null);
  usePageTitle(v('register.title'));

  const submit = async (event: Event) => {
    event.preventDefault();
    setWorking(true);
    setError(null);
    try {
      const { status } = await register(loginId.trim(), password, displayName.trim());
      if (status === 'active') route('/login?registered', true);
      else setPending(true);
    } catch (problem) {
      setError(problem);
    } finally {
      setWorking(false);
    }
  };

  if (pending) {
    return (
      <AuthLayout title={v('register.pendingTitle')} intro={v('register.pending')}>
        <a class="button button-primary button-wide" href="/login">
          {v('register.backToLogin')}
        </a>
      </AuthLayout>
    );
  }

  return (
    <AuthLayout title={v('register.title')} intro={v('register.intro')}>
      <form onSubmit={submit} data-testid="register-form">
        <TextField
          label={v('register.displayName')}
          value={displayName}
          onInput={setDisplayName}
          autocomplete="name"
          required
          autofocus
          maxLength={100}
          testId="register-name"
        />
        <TextField
          label={v('login.id')}
          hint={v('register.idHint')}
          value={loginId}
          onInput={setLoginId}
          autocomplete="username"
          required
          minLength={3}
          maxLength={64}
          testId="register-id"
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
          testId="register-password"
        />
        {error !== null && <ErrorMessage error={error} />}
        <button
          type="submit"
          class="button button-primary button-wide"
          disabled={working}
          data-testid="register-submit"
        >
          {working ? v('register.working') : v('register.submit')}
        </button>
      </form>
      <p class="auth-switch">
        {v('register.toLogin')} <a href="/login">{v('login.submit')}</a>
      </p>
    </AuthLayout>
  );
}
