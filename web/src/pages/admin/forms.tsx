import type { ComponentChildren } from 'preact';
import { useId, useState } from 'preact/hooks';
import { ApiError } from '../../api/errors';
import { Dialog } from '../../components/Dialog';
import { ErrorMessage } from '../../components/ErrorMessage';
import { TextField } from '../../components/TextField';
import { t } from '../../i18n';
import { adviceText, ta } from '../../i18n/admin';
import { useMutation } from '../../lib/mutation';

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

interface FormProps {
  title: string;
  submit: string;
  /** For what can't be undone. */
  danger?: boolean;
  disabled?: boolean;
  onSubmit: () => Promise<unknown>;
  onDone: () => void;
  onClose: () => void;
  children: ComponentChildren;
  testId?: string;
}

/** A dialog with a form: it stays open, with the reason, when the change is refused. */
export function FormDialog({
  title,
  submit,
  danger,
  disabled,
  onSubmit,
  onDone,
  onClose,
  ...rest
}: FormProps) {
  const { busy, problem, run } = useMutation();
  return (
    <Dialog title={title} onClose={onClose} testId={rest.testId ?? 'form-dialog'}>
      <form
        class="dialog-form"
        onSubmit={(event) => {
          event.preventDefault();
          void run(onSubmit).then((isDone) => isDone && onDone());
        }}
      >
        {rest.children}
        <Problem error={problem} />
        <div class="dialog-buttons">
          <button type="button" class="button" onClick={onClose}>
            {t('common.cancel')}
          </button>
          <button
            type="submit"
            class={danger ? 'button button-danger' : 'button button-primary'}
            disabled={busy || disabled}
            data-testid="dialog-submit"
          >
            {submit}
          </button>
        </div>
      </form>
    </Dialog>
  );
}

interface ConfirmProps extends Omit<FormProps, 'children' | 'disabled'> {
  text: string;
  /** What must be typed before the change is possible. */
  typed?: string;
}

/** Asks before a change. */
export function ConfirmDialog({ text, typed, ...form }: ConfirmProps) {
  const [value, setValue] = useState('');
  return (
    <FormDialog testId="confirm-dialog" {...form} disabled={typed !== undefined && value !== typed}>
      <p>{text}</p>
      {typed !== undefined && (
        <TextField
          label={ta('confirm.type', { text: typed })}
          value={value}
          onInput={setValue}
          autocomplete="off"
          testId="confirm-text"
        />
      )}
    </FormDialog>
  );
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
