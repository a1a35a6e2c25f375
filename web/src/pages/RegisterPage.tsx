import { useState } from 'preact/hooks';
import { useLocation } from 'preact-iso';
import { register } from '../api/endpoints';
import { ErrorMessage } from '../components/ErrorMessage';
import { TextField } from '../components/TextField';
import { t } from '../i18n';
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
  usePageTitle(t('register.title'));

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
      <AuthLayout title={t('register.pendingTitle')} intro={t('register.pending')}>
        <a class="button button-primary button-wide" href="/login">
          {t('register.backToLogin')}
        </a>
      </AuthLayout>
    );
  }

  return (
    <AuthLayout title={t('register.title')} intro={t('register.intro')}>
      <form onSubmit={submit} data-testid="register-form">
        <TextField
          label={t('register.displayName')}
          value={displayName}
          onInput={setDisplayName}
          autocomplete="name"
          required
          autofocus
          maxLength={100}
          testId="register-name"
        />
        <TextField
          label={t('login.id')}
          hint={t('register.idHint')}
          value={loginId}
          onInput={setLoginId}
          autocomplete="username"
          required
          minLength={3}
          maxLength={64}
          testId="register-id"
        />
        <TextField
          label={t('login.password')}
          hint={t('register.passwordHint')}
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
          {working ? t('register.working') : t('register.submit')}
        </button>
      </form>
      <p class="auth-switch">
        {t('register.toLogin')} <a href="/login">{t('login.submit')}</a>
      </p>
    </AuthLayout>
  );
}
