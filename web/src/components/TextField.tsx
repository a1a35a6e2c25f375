import { useId, useState } from 'preact/hooks';
import { v } from '../i18n/viewer';

interface Props {
  label: string;
  value: string;
  onInput: (value: string) => void;
  type?: 'text' | 'password';
  hint?: string;
  autocomplete?: string;
  required?: boolean;
  autofocus?: boolean;
  minLength?: number;
  maxLength?: number;
  pattern?: string;
  disabled?: boolean;
  testId?: string;
}

export function TextField({ label, hint, testId, onInput, type = 'text', autofocus, ...input }: Props) {
  const id = useId();
  const [revealed, setRevealed] = useState(false);
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <div class="field-control">
        <input
          id={id}
          {...input}
          {...(type === 'password' && !revealed ? { type: 'password' as const } : { type: 'text' as const })}
          // biome-ignore lint/a11y/noAutofocus: the first field of a page whose only content is the form
          autoFocus={autofocus ?? false}
          autocapitalize="none"
          spellcheck={false}
          aria-describedby={hint ? `${id}-hint` : undefined}
          data-testid={testId}
          onInput={(event) => onInput(event.currentTarget.value)}
        />
        {type === 'password' && (
          <button
            type="button"
            class="field-reveal"
            aria-label={revealed ? v('login.hidePassword') : v('login.showPassword')}
            aria-pressed={revealed}
            onClick={() => setRevealed(!revealed)}
          >
            <svg
              viewBox="0 0 24 24"
              width="20"
              height="20"
              fill="none"
              stroke="currentColor"
              stroke-width="1.8"
              aria-hidden="true"
            >
              <path d="M2.5 12S6 5.5 12 5.5 21.5 12 21.5 12 18 18.5 12 18.5 2.5 12 2.5 12z" />
              <circle cx="12" cy="12" r="3" />
              {revealed && <path d="M4 4l16 16" />}
            </svg>
          </button>
        )}
      </div>
      {hint && (
        <p class="field-hint" id={`${id}-hint`}>
          {hint}
        </p>
      )}
    </div>
  );
}
