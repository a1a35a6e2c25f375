import type { ComponentType } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { useLocation } from 'preact-iso';
import type { User } from '../api/types';
import { ErrorMessage } from '../components/ErrorMessage';
import { ProblemView } from '../components/FormDialog';
import { PageHeading } from '../components/PageHeading';
import { type AdminKey, ta } from '../i18n/admin';
import { usePageTitle } from '../lib/hooks';
import '../styles/admin.css';
import '../styles/adminTools.css';
import { AuditPage } from './admin/AuditPage';
import { ContentsPage } from './admin/ContentsPage';
import { CorporationsPage } from './admin/CorporationsPage';
import { Dashboard } from './admin/Dashboard';
import { DeadLettersPage } from './admin/DeadLettersPage';
import { Problem } from './admin/forms';
import { HealthPage } from './admin/HealthPage';
import { HighlightsSection } from './admin/HighlightsSection';
import { ImportsPage } from './admin/ImportsPage';
import { LicencesPage } from './admin/LicencesPage';
import { PointsPage } from './admin/PointsPage';
import { SeriesListPage } from './admin/SeriesListPage';
import { TitlesPage } from './admin/TitlesPage';
import { TrashPage } from './admin/TrashPage';
import { UsersPage } from './admin/UsersPage';
import { ViewsPage } from './admin/ViewsPage';
import NotFoundPage from './NotFoundPage';

type Section = ComponentType<{ user: User }>;

const SECTIONS: readonly (readonly [path: string, text: AdminKey, section: Section])[] = [
  ['', 'nav.dashboard', Dashboard],
  ['health', 'nav.health', HealthPage],
  ['contents', 'nav.contents', ContentsPage],
  ['series', 'nav.series', SeriesListPage],
  ['highlights', 'nav.highlights', HighlightsSection],
  ['titles', 'nav.titles', TitlesPage],
  ['users', 'nav.users', UsersPage],
  ['points', 'nav.points', PointsPage],
  ['corporations', 'nav.corporations', CorporationsPage],
  ['trash', 'nav.trash', TrashPage],
  ['licences', 'nav.licences', LicencesPage],
  ['imports', 'nav.imports', ImportsPage],
  ['dead-letters', 'nav.deadLetters', DeadLettersPage],
  ['audit', 'nav.audit', AuditPage],
  ['views', 'nav.views', ViewsPage],
];

/** The administration: a navigation beside its pages. */
export default function AdminPage({ user, section = '' }: { user: User; section?: string }) {
  const found = SECTIONS.find(([path]) => path === section);
  if (!found) return <NotFoundPage />;
  if (user.role !== 'admin') return <Forbidden />;
  const [path, , Page] = found;
  return (
    <ProblemView.Provider value={Problem}>
      <div class="page admin">
        <AdminNav />
        <div class="admin-content">
          <Page key={path} user={user} />
        </div>
      </div>
    </ProblemView.Provider>
  );
}

function Forbidden() {
  usePageTitle(ta('admin.title'));
  return (
    <div class="page">
      <PageHeading>{ta('admin.title')}</PageHeading>
      <ErrorMessage error={ta('admin.forbidden')} />
    </div>
  );
}

function AdminNav() {
  const { path } = useLocation();
  const list = useRef<HTMLUListElement>(null);
  // On phones the navigation is a strip that scrolls.
  useEffect(() => {
    const current = path && list.current?.querySelector<HTMLElement>('[aria-current]');
    if (!current || !list.current) return;
    list.current.scrollLeft = current.offsetLeft - (list.current.clientWidth - current.offsetWidth) / 2;
  }, [path]);
  return (
    <nav class="admin-nav" aria-label={ta('admin.title')} data-testid="admin-nav">
      <ul ref={list}>
        {SECTIONS.map(([name, text]) => {
          const href = name === '' ? '/admin' : `/admin/${name}`;
          return (
            <li key={name}>
              <a href={href} aria-current={path === href ? 'page' : undefined}>
                {ta(text)}
              </a>
            </li>
          );
        })}
      </ul>
    </nav>
  );
}
