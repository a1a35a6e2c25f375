import { useState } from 'preact/hooks';
import { FormDialog, type FormDialogProps } from './FormDialog';
import { TextField } from './TextField';

interface Props extends Omit<FormDialogProps, 'children' | 'disabled' | 'startsAtCancel' | 'testId'> {
  text: string;
  /** What must be typed before the change is possible, and the label of its field. */
  typed?: { text: string; label: string };
}

/** Asks before a change. Cancel has the focus, and Escape cancels. */
export function ConfirmDialog({ text, typed, ...form }: Props) {
  const [value, setValue] = useState('');
  return (
    <FormDialog
      {...form}
      testId="confirm-dialog"
      startsAtCancel
      disabled={typed !== undefined && value.trim() !== typed.text}
    >
      <p>{text}</p>
      {typed && (
        <TextField
          label={typed.label}
          value={value}
          onInput={setValue}
          autocomplete="off"
          testId="confirm-text"
        />
      )}
    </FormDialog>
  );
}
