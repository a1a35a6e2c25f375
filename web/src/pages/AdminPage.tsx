import type { User } from '../api/types';
import { ErrorMessage } from '../components/ErrorMessage';
import { PageHeading } from '../components/PageHeading';
import { t } from '../i18n';
import { usePageTitle } from '../lib/hooks';
import { HealthPanel } from './admin/HealthPanel';
import { StreamsPanel } from './admin/StreamsPanel';
import { UsersPanel } from './admin/UsersPanel';

export default function AdminPage({ user }: { user: User }) {
  usePageTitle(t('admin.title'));
  return (
    <div class="page">
      <PageHeading>{t('admin.title')}</PageHeading>
      {user.role === 'admin' ? (
        <>
          <StreamsPanel />
          <div class="admin-layout">
            <UsersPanel />
            <HealthPanel />
          </div>
        </>
      ) : (
        <ErrorMessage error={t('admin.forbidden')} />
      )}
    </div>
  );
}
