import { Icon } from '../../components/Icon';
import { PageHeading } from '../../components/PageHeading';
import { t } from '../../i18n';
import { usePageTitle } from '../../lib/hooks';

/** Shown for a film that was deleted, never existed, or is not visible to this viewer. */
export function MissingFilm() {
  usePageTitle(t('missing.title'));
  return (
    <div class="page empty" data-testid="missing-film">
      <Icon name="film" size={44} />
      <PageHeading>{t('missing.title')}</PageHeading>
      <p>{t('missing.text')}</p>
      <a class="button button-primary" href="/">
        {t('notFound.home')}
      </a>
    </div>
  );
}
