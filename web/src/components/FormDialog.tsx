import { type ComponentChildren, type ComponentType, createContext } from 'preact';
import { useContext } from 'preact/hooks';
import { t } from '../i18n';
import { useMutation } from '../lib/mutation';
import { Dialog } from './Dialog';
import { ErrorMessage } from './ErrorMessage';
import '../styles/dialogForm.css';

function Plain({ error }: { error: unknown }) {
  return error === null ? null : <ErrorMessage error={error} />;
}

/** How dialogs say why a change was refused. The administration says more than the message of the server. */
export const ProblemView = createContext<ComponentType<{ error: unknown }>>(Plain);

export interface FormDialogProps {
  title: string;
  /** The label of the button that does it. */
  submit: string;
  /** For what can't be undone. */
  danger?: boolean;
  disabled?: boolean;
  /** Gives the focus to Cancel, rather than to the first field. */
  startsAtCancel?: boolean;
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
  startsAtCancel = false,
  onSubmit,
  onDone,
  onClose,
  ...rest
}: FormDialogProps) {
  const { busy, problem, run } = useMutation();
  const Problem = useContext(ProblemView);
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
          <button
            type="button"
            class="button"
            // biome-ignore lint/a11y/noAutofocus: a modal dialog has to put the focus somewhere, and safely
            autoFocus={startsAtCancel}
            onClick={onClose}
          >
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
