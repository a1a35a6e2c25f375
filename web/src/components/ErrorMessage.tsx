import { errorText, isPassing } from '../api/errors';
import { t } from '../i18n';
import { Icon } from './Icon';

interface Props {
  error: unknown;
  onRetry?: () => void;
  /** Retries; temporary failures are also retried without the button. */
  retries?: boolean;
}

export function ErrorMessage({ error, onRetry, retries = false }: Props) {
  return (
    <div class="notice notice-error" role="alert" data-testid="error-message">
      <Icon name="alert" />
      <p>
        {typeof error === 'string' ? error : errorText(error)}
        {retries && (typeof error === 'string' || isPassing(error)) && <> {t('error.retrying')}</>}
      </p>
      {onRetry && (
        <button type="button" class="button button-quiet" onClick={onRetry}>
          {t('common.retry')}
        </button>
      )}
    </div>
  );
}
