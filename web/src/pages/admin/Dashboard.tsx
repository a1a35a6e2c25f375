import { PageHeading } from '../../components/PageHeading';
import { t } from '../../i18n';
import { usePageTitle } from '../../lib/hooks';
import { HealthPanel } from './HealthPanel';
import { StreamsPanel } from './StreamsPanel';
import { UsersPanel } from './UsersPanel';

/** What happens now. */
export function Dashboard() {
  usePageTitle(t('admin.title'));
  return (
    <>
      <PageHeading>{t('admin.title')}</PageHeading>
      <StreamsPanel />
      <div class="admin-layout">
        <UsersPanel />
        <HealthPanel />
      </div>
    </>
  );
}
