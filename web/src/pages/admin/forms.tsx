import { useId } from 'preact/hooks';
import { ApiError } from '../../api/errors';
import { ErrorMessage } from '../../components/ErrorMessage';
import { adviceText } from '../../i18n/admin';

/** Why a change was refused: the server's message, what helps, and which fields it is about. */
export function Problem({ error }: { error: unknown }) {
  if (error === null) return null;
  const more =
    error instanceof ApiError ? [adviceText(error.code), ...fieldProblems(error)].filter(Boolean) : [];
  return (
    <div class="problem" data-testid="problem">
      <ErrorMessage error={error} />
      {more.map((text) => (
        <p key={text} class="quiet">
          {text}
        </p>
      ))}
    </div>
  );
}

/** Returns what is wrong with each field, as the server says it in English. */
export function fieldProblems(error: ApiError): string[] {
  const { fields } = error.details;
  if (!Array.isArray(fields)) return [];
  return fields.flatMap((each: unknown) => {
    const { field, problem } = (each ?? {}) as { field?: unknown; problem?: unknown };
    return typeof problem === 'string' ? [typeof field === 'string' ? `${field}: ${problem}` : problem] : [];
  });
}

interface SelectProps {
  label: string;
  value: string;
  options: readonly (readonly [string, string])[];
  onChange: (value: string) => void;
  hint?: string;
  name?: string;
}

export function SelectField({ label, value, options, onChange, hint, name }: SelectProps) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <select
        id={id}
        name={name}
        value={value}
        aria-describedby={hint ? `${id}-hint` : undefined}
        onChange={(event) => onChange(event.currentTarget.value)}
      >
        {options.map(([key, text]) => (
          <option key={key} value={key}>
            {text}
          </option>
        ))}
      </select>
      {hint && (
        <p class="field-hint" id={`${id}-hint`}>
          {hint}
        </p>
      )}
    </div>
  );
}

interface InputProps {
  label: string;
  value: string;
  onInput: (value: string) => void;
  name?: string;
  type?: 'number' | 'date';
  rows?: number;
  maxLength?: number;
}

/** A number, a date, or with `rows` a longer text. */
export function InputField({ label, value, onInput, name, type, rows, maxLength }: InputProps) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {rows ? (
        <textarea
          id={id}
          name={name}
          rows={rows}
          maxLength={maxLength}
          value={value}
          onInput={(event) => onInput(event.currentTarget.value)}
        />
      ) : (
        <input
          id={id}
          name={name}
          {...(type === 'number' ? { type, min: 0 } : { type: 'date' as const })}
          value={value}
          onInput={(event) => onInput(event.currentTarget.value)}
        />
      )}
    </div>
  );
}

interface CheckProps {
  label: string;
  checked: boolean;
  onChange: (checked: boolean) => void;
  name?: string;
}

export function CheckField({ label, checked, onChange, name }: CheckProps) {
  return (
    <label class="check-field">
      <input
        type="checkbox"
        name={name}
        checked={checked}
        onChange={(event) => onChange(event.currentTarget.checked)}
      />
      {label}
    </label>
  );
}
