import { useEffect, useState } from 'preact/hooks';
import { useLocation } from 'preact-iso';
import { ErrorMessage } from '../components/ErrorMessage';
import { TextField } from '../components/TextField';
import { v } from '../i18n/viewer';
import { usePageTitle } from '../lib/hooks';
import { safeNext } from '../session/safeNext';
import { logIn, session } from '../session/session';
import { AuthLayout } from './AuthLayout';

export default function LoginPage() {
  const { query, route } = useLocation();
  const [loginId, setLoginId] = useState('');
  const [password, setPassword] = useState('');
  const [working, setWorking] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const { phase } = session.value;
  usePageTitle(v('login.title'));

  useEffect(() => {
    if (phase === 'authenticated') route(safeNext(query.next), true);
  }, [phase, query.next, route]);

  const submit = async (event: Event) => {
    event.preventDefault();
    setWorking(true);
    setError(null);
    try {
      await logIn(loginId.trim(), password);
    } catch (problem) {
      setError(problem);
      setWorking(false);
    }
  };

  return (
    <AuthLayout title={v('login.title')} intro={v('login.intro')}>
      <Notice registered={query.registered !== undefined} />
      <form onSubmit={submit} data-testid="login-form">
        <TextField
          label={v('login.id')}
          value={loginId}
          onInput={setLoginId}
          autocomplete="username"
          required
          autofocus
          testId="login-id"
        />
        <TextField
          label={v('login.password')}
          type="password"
          value={password}
          onInput={setPassword}
          autocomplete="current-password"
          required
          testId="login-password"
        />
        {error !== null && <ErrorMessage error={error} />}
        <button
          type="submit"
          class="button button-primary button-wide"
          disabled={working}
          data-testid="login-submit"
        >
          {working ? v('login.working') : v('login.submit')}
        </button>
      </form>
      <p class="auth-switch">
        {v('login.toRegister')} <a href="/register">{v('login.registerLink')}</a>
      </p>
      <p class="auth-switch">
        <a href="/reset">{v('login.resetLink')}</a>
      </p>
    </AuthLayout>
  );
}

function Notice({ registered }: { registered: boolean }) {
  const state = session.value;
  const text = registered
    ? v('login.registered')
    : state.phase === 'anonymous' && state.expired
      ? v('login.expired')
      : null;
  return text ? (
    <p class="notice" role="status">
      {text}
    </p>
  ) : null;
}
