import { PageHeading } from '../components/PageHeading';
import { t } from '../i18n';
import { usePageTitle } from '../lib/hooks';
import { DevicePanel } from './account/DevicePanel';
import { WatchingPanel } from './account/WatchingPanel';

export default function AccountPage() {
  usePageTitle(t('account.title'));
  return (
    <div class="page page-narrow account">
      <PageHeading>{t('account.title')}</PageHeading>
      <DevicePanel />
      <WatchingPanel />
    </div>
  );
}
