import { useEffect, useState } from 'preact/hooks';
import { useLocation } from 'preact-iso';
import { ErrorMessage } from '../components/ErrorMessage';
import { TextField } from '../components/TextField';
import { t } from '../i18n';
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
  usePageTitle(t('login.title'));

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
    <AuthLayout title={t('login.title')} intro={t('login.intro')}>
      <Notice registered={query.registered !== undefined} />
      <form onSubmit={submit} data-testid="login-form">
        <TextField
          label={t('login.id')}
          value={loginId}
          onInput={setLoginId}
          autocomplete="username"
          required
          autofocus
          testId="login-id"
        />
        <TextField
          label={t('login.password')}
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
          {working ? t('login.working') : t('login.submit')}
        </button>
      </form>
      <p class="auth-switch">
        {t('login.toRegister')} <a href="/register">{t('login.registerLink')}</a>
      </p>
      <p class="auth-switch">
        <a href="/reset">{t('login.resetLink')}</a>
      </p>
    </AuthLayout>
  );
}

function Notice({ registered }: { registered: boolean }) {
  const state = session.value;
  const text = registered
    ? t('login.registered')
    : state.phase === 'anonymous' && state.expired
      ? t('login.expired')
      : null;
  return text ? (
    <p class="notice" role="status">
      {text}
    </p>
  ) : null;
}
