import { Icon } from '../components/Icon';
import { PageHeading } from '../components/PageHeading';
import { t } from '../i18n';
import { usePageTitle } from '../lib/hooks';

/** Shown for a page whose code could not be loaded. */
export default function BrokenPage() {
  usePageTitle(t('broken.title'));
  return (
    <div class="page empty" role="alert" data-testid="broken-page">
      <Icon name="alert" size={44} />
      <PageHeading>{t('broken.title')}</PageHeading>
      <p>{t('broken.text')}</p>
      <button type="button" class="button button-primary" onClick={() => location.reload()}>
        {t('broken.reload')}
      </button>
    </div>
  );
}
