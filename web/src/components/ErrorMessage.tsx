import { errorText } from '../api/errors';
import { t } from '../i18n';
import { Icon } from './Icon';

interface Props {
  error: unknown;
  onRetry?: () => void;
}

export function ErrorMessage({ error, onRetry }: Props) {
  return (
    <div class="notice notice-error" role="alert" data-testid="error-message">
      <Icon name="alert" />
      <p>{typeof error === 'string' ? error : errorText(error)}</p>
      {onRetry && (
        <button type="button" class="button button-quiet" onClick={onRetry}>
          {t('common.retry')}
        </button>
      )}
    </div>
  );
}
