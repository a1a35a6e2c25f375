import type { ComponentChildren, VNode } from 'preact';
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { ErrorBoundary, LocationProvider, Route, Router, useLocation } from 'preact-iso';
import type { User } from './api/types';
import { ErrorMessage } from './components/ErrorMessage';
import { Header } from './components/Header';
import { chunkTrouble, lazyPage } from './components/lazyPage';
import { t } from './i18n';
import { awaitPage } from './lib/arrival';
import HomePage from './pages/HomePage';
import NotFoundPage from './pages/NotFoundPage';
import { loadSession, session } from './session/session';

const LoginPage = lazyPage(() => import('./pages/LoginPage'));
const RegisterPage = lazyPage(() => import('./pages/RegisterPage'));
const ResetPage = lazyPage(() => import('./pages/ResetPage'));
const UploadPage = lazyPage(() => import('./pages/UploadPage'));
const WatchPage = lazyPage(() => import('./pages/WatchPage'));
const SeriesPage = lazyPage(() => import('./pages/SeriesPage'));
const HighlightsPage = lazyPage(() => import('./pages/HighlightsPage'));
const WatchlistPage = lazyPage(() => import('./pages/WatchlistPage'));
const HistoryPage = lazyPage(() => import('./pages/HistoryPage'));
const BookmarksPage = lazyPage(() => import('./pages/BookmarksPage'));
const DownloadsPage = lazyPage(() => import('./pages/DownloadsPage'));
const VideoPage = lazyPage(() => import('./pages/VideoPage'));
const PointsPage = lazyPage(() => import('./pages/PointsPage'));
const AccountPage = lazyPage(() => import('./pages/AccountPage'));
const AdminPage = lazyPage(() => import('./pages/AdminPage'));

// The API and its documentation are not pages of this application.
const SCOPE = /^\/(?!api\/|docs\b|openapi\.json)/;

/** Pages for those who are not logged in. */
const FORMS: ReadonlySet<string> = new Set(['/login', '/register', '/reset']);

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
  const isForm = FORMS.has(path);
  const lastPath = useRef(path);
  useLayoutEffect(() => {
    // A viewer who is redirected to the log-in may type at once.
    if (lastPath.current !== path && (!isForm || FORMS.has(lastPath.current))) awaitPage();
    lastPath.current = path;
  }, [path, isForm]);
  if (isForm) {
    return (
      <Pages>
        <Route path="/login" component={LoginPage} />
        <Route path="/register" component={RegisterPage} />
        <Route path="/reset" component={ResetPage} />
      </Pages>
    );
  }
  switch (state.phase) {
    case 'loading':
      return <div class="splash" aria-busy="true" />;
    case 'unreachable':
      return <Site user={null} />;
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

/**
 * The pages; without a user, while the server can't be reached, those that need no server. What is the same in both stays
 * mounted, so that a film that plays from this browser plays on when the server is back.
 */
function Site({ user }: { user: User | null }) {
  if (!user && !navigator.serviceWorker?.controller) {
    return (
      <Frame user={null}>
        <Unreachable />
      </Frame>
    );
  }
  if (!user) {
    return (
      <Frame user={null}>
        <Pages>
          <Route path="/watch/:id" component={WatchPage} />
          <Route path="/downloads" component={DownloadsPage} />
          <Route default component={Unreachable} />
        </Pages>
      </Frame>
    );
  }
  return (
    <Frame user={user}>
      <Pages>
        <Route path="/" component={HomePage} user={user} />
        <Route path="/upload" component={UploadPage} user={user} />
        <Route path="/watch/:id" component={WatchPage} />
        <Route path="/series/:id" component={SeriesPage} />
        <Route path="/highlights" component={HighlightsPage} />
        <Route path="/watchlist" component={WatchlistPage} />
        <Route path="/history" component={HistoryPage} />
        <Route path="/bookmarks" component={BookmarksPage} />
        <Route path="/downloads" component={DownloadsPage} />
        <Route path="/videos/:id" component={VideoPage} />
        <Route path="/account/points" component={PointsPage} />
        <Route path="/account" component={AccountPage} user={user} />
        <Route path="/admin/:section?" component={AdminPage} user={user} />
        <Route default component={NotFoundPage} />
      </Pages>
    </Frame>
  );
}

function Unreachable() {
  const state = session.value;
  return (
    <div class="page page-narrow">
      <ErrorMessage
        error={state.phase === 'unreachable' ? state.error : null}
        onRetry={() => void loadSession()}
        retries
      />
      {navigator.serviceWorker?.controller && (
        <div class="more">
          <a class="button" href="/downloads" data-testid="downloads-link">
            {t('nav.downloads')}
          </a>
        </div>
      )}
    </div>
  );
}

/** The frame around every page. */
function Frame({ user, children }: { user: User | null; children: ComponentChildren }) {
  return (
    <>
      <a class="skip-link" href="#main">
        {t('app.skip')}
      </a>
      <Header user={user} />
      <main id="main" tabIndex={-1}>
        {children}
      </main>
      <footer class="site-footer">
        <span>{t('app.tagline')}</span>
        <a href="/docs/">{t('nav.docs')}</a>
      </footer>
    </>
  );
}

function Pages({ children }: { children: VNode[] }) {
  const { path } = useLocation();
  const [brokenPath, setBrokenPath] = useState<string | null>(null);
  const [isLoading, setLoading] = useState(false);
  if (brokenPath === path) {
    return (
      <div class="page">
        <ErrorMessage error={t('error.page')} onRetry={() => location.reload()} />
      </div>
    );
  }
  return (
    <ErrorBoundary onError={() => setBrokenPath(path)}>
      {isLoading && chunkTrouble.value && (
        <p class="notice page-notice" role="status" data-testid="page-notice">
          <span class="spinner" aria-hidden="true" /> {t('error.pageWaits')}
        </p>
      )}
      <Router onLoadStart={() => setLoading(true)} onLoadEnd={() => setLoading(false)}>
        {children}
      </Router>
    </ErrorBoundary>
  );
}
