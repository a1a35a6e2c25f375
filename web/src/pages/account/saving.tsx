import { useState } from 'preact/hooks';
import { ErrorMessage } from '../../components/ErrorMessage';
import { Icon } from '../../components/Icon';
import { t } from '../../i18n';

export interface Saving {
  isBusy: boolean;
  error: unknown;
  /** What was done, for the viewer. */
  said: string;
  /** Runs a change, which returns what to say about it; one at a time. */
  save: (change: () => Promise<string>) => Promise<void>;
  /** Takes back what was said, as the viewer edits again. */
  reset: () => void;
}

export function useSaving(): Saving {
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const [said, setSaid] = useState('');
  return {
    isBusy,
    error,
    said,
    reset: () => {
      setError(null);
      setSaid('');
    },
    save: async (change) => {
      if (isBusy) return;
      setBusy(true);
      setError(null);
      setSaid('');
      try {
        setSaid(await change());
      } catch (failure) {
        setError(failure);
      } finally {
        setBusy(false);
      }
    },
  };
}

interface Props {
  saving: Saving;
  label?: string;
  testId: string;
}

/** The button of a form, with what came of it. */
export function SaveRow({ saving, label = t('common.save'), testId }: Props) {
  return (
    <>
      {saving.error !== null && <ErrorMessage error={saving.error} />}
      <div class="device-save">
        <button
          type="submit"
          class="button button-primary"
          aria-disabled={saving.isBusy}
          data-testid={testId}
        >
          {label}
        </button>
        <p class="approved" role="status">
          {saving.said && (
            <>
              <Icon name="check" size={18} /> {saving.said}
            </>
          )}
        </p>
      </div>
    </>
  );
}
