import { Icon } from '../components/Icon';
import { PageHeading } from '../components/PageHeading';
import { t } from '../i18n';
import { usePageTitle } from '../lib/hooks';

export default function NotFoundPage() {
  usePageTitle(t('notFound.title'));
  return (
    <div class="page empty">
      <Icon name="film" size={44} />
      <PageHeading>{t('notFound.title')}</PageHeading>
      <p>{t('notFound.text')}</p>
      <a class="button button-primary" href="/">
        {t('notFound.home')}
      </a>
    </div>
  );
}
