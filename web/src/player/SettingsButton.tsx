import { p } from '../i18n/playing';

/** Among media-chrome's buttons. */
export function SettingsButton({ onClick }: { onClick: () => void }) {
  const label = p('settings.title');
  return (
    <button
      type="button"
      class="settings-button"
      aria-label={label}
      title={label}
      aria-haspopup="dialog"
      data-testid="settings-button"
      onClick={onClick}
    >
      <svg class="icon" viewBox="0 0 24 24" width="24" height="24" aria-hidden="true">
        <path d="M4 7h9m5 0h2M4 17h2m5 0h9M15.5 4.5v5M8.5 14.5v5" />
      </svg>
    </button>
  );
}
