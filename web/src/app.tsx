import type { VNode } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { ErrorBoundary, LocationProvider, lazy, Route, Router, useLocation } from 'preact-iso';
import type { User } from './api/types';
import { ErrorMessage } from './components/ErrorMessage';
import { Header } from './components/Header';
import { t } from './i18n';
import HomePage from './pages/HomePage';
import NotFoundPage from './pages/NotFoundPage';
import { loadSession, session } from './session/session';

const LoginPage = lazy(() => import('./pages/LoginPage'));
const RegisterPage = lazy(() => import('./pages/RegisterPage'));
const UploadPage = lazy(() => import('./pages/UploadPage'));
const WatchPage = lazy(() => import('./pages/WatchPage'));
const AccountPage = lazy(() => import('./pages/AccountPage'));
const AdminPage = lazy(() => import('./pages/AdminPage'));

// The API and its documentation are not pages of this application.
const SCOPE = /^\/(?!api\/|docs\b|openapi\.json)/;

export function App() {
  return (
    <LocationProvider scope={SCOPE}>
      <Shell />
    </LocationProvider>
  );
}

function Shell() {
  const { path } = useLocation();
  const state = session.value;
  if (path === '/login' || path === '/register') {
    return (
      <Pages>
        <Route path="/login" component={LoginPage} />
        <Route path="/register" component={RegisterPage} />
      </Pages>
    );
  }
  switch (state.phase) {
    case 'loading':
      return <div class="splash" aria-busy="true" />;
    case 'unreachable':
      return (
        <main class="splash">
          <ErrorMessage error={state.error} onRetry={() => void loadSession()} />
        </main>
      );
    case 'anonymous':
      return <ToLogin />;
    case 'authenticated':
      return <Site user={state.user} />;
  }
}

function ToLogin() {
  const { url, route } = useLocation();
  useEffect(() => {
    route(url === '/' ? '/login' : `/login?next=${encodeURIComponent(url)}`, true);
  }, [url, route]);
  return <div class="splash" />;
}

function Site({ user }: { user: User }) {
  return (
    <>
      <a class="skip-link" href="#main">
        {t('app.skip')}
      </a>
      <Header user={user} />
      <main id="main" tabIndex={-1}>
        <Pages>
          <Route path="/" component={HomePage} user={user} />
          <Route path="/upload" component={UploadPage} user={user} />
          <Route path="/watch/:id" component={WatchPage} />
          <Route path="/account" component={AccountPage} />
          <Route path="/admin" component={AdminPage} user={user} />
          <Route default component={NotFoundPage} />
        </Pages>
      </main>
      <footer class="site-footer">
        <span>{t('app.tagline')}</span>
        <a href="/docs/">{t('nav.docs')}</a>
      </footer>
    </>
  );
}

function Pages({ children }: { children: VNode[] }) {
  const [broken, setBroken] = useState(false);
  if (broken) {
    return (
      <div class="page">
        <ErrorMessage error={t('error.page')} onRetry={() => location.reload()} />
      </div>
    );
  }
  return (
    <ErrorBoundary onError={() => setBroken(true)}>
      <Router>{children}</Router>
    </ErrorBoundary>
  );
}
