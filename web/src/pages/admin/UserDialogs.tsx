import { useState } from 'preact/hooks';
import { type Account, changeAccount, createAccount } from '../../api/admin';
import type { Role } from '../../api/types';
import { Dialog } from '../../components/Dialog';
import { FormDialog } from '../../components/FormDialog';
import { TextField } from '../../components/TextField';
import { language, t } from '../../i18n';
import { ta } from '../../i18n/admin';
import { v } from '../../i18n/viewer';
import { formatSince } from '../../lib/format';
import { corporationOptions } from './BulkBar';
import { SelectField } from './forms';

type Corporations = readonly { id: string; name: string }[];

const roles = (): (readonly [Role, string])[] => [
  ['member', t('role.member')],
  ['admin', t('role.admin')],
];

interface NewProps {
  corporations: Corporations;
  onDone: (name: string) => void;
  onClose: () => void;
}

/** Makes an account that can be used at once. */
export function NewUserDialog({ corporations, onDone, onClose }: NewProps) {
  const [form, setForm] = useState({ login: '', name: '', password: '', role: 'member', corporation: '' });
  const set = (field: keyof typeof form) => (value: string) => setForm({ ...form, [field]: value });
  return (
    <FormDialog
      title={ta('users.new')}
      submit={ta('users.create')}
      testId="new-user-dialog"
      onSubmit={() =>
        createAccount({
          login_id: form.login.trim(),
          password: form.password,
          display_name: form.name.trim() || form.login.trim(),
          role: form.role as Role,
          corporation_id: form.corporation || null,
        })
      }
      onDone={() => onDone(form.name.trim() || form.login.trim())}
      onClose={onClose}
    >
      <TextField
        label={v('login.id')}
        value={form.login}
        hint={v('register.idHint')}
        required
        maxLength={64}
        autocomplete="off"
        testId="new-user-login"
        onInput={set('login')}
      />
      <TextField
        label={v('register.displayName')}
        value={form.name}
        maxLength={100}
        autocomplete="off"
        testId="new-user-name"
        onInput={set('name')}
      />
      <TextField
        label={v('login.password')}
        type="password"
        value={form.password}
        hint={v('register.passwordHint')}
        required
        minLength={8}
        autocomplete="new-password"
        testId="new-user-password"
        onInput={set('password')}
      />
      <SelectField
        label={ta('admin.role')}
        name="role"
        value={form.role}
        options={roles()}
        onChange={set('role')}
      />
      <SelectField
        label={ta('contents.corporation')}
        name="corporation"
        value={form.corporation}
        options={corporationOptions(corporations)}
        onChange={set('corporation')}
      />
    </FormDialog>
  );
}

interface ChangeProps {
  user: Account;
  corporations: Corporations;
  onDone: () => void;
  onClose: () => void;
}

/** Changes the name, the role and the corporation of an account. */
export function ChangeUserDialog({ user, corporations, onDone, onClose }: ChangeProps) {
  const [name, setName] = useState(user.display_name);
  const [role, setRole] = useState<string>(user.role);
  const [corporation, setCorporation] = useState(user.corporation_id ?? '');
  const options = corporationOptions(corporations);
  const isListed = options.some(([id]) => id === corporation);
  return (
    <FormDialog
      title={ta('users.changeOf', { name: user.login_id })}
      submit={t('common.save')}
      disabled={name.trim() === ''}
      onSubmit={() =>
        changeAccount(user.id, {
          ...(name.trim() !== user.display_name && { display_name: name.trim() }),
          ...(role !== user.role && { role: role as Role }),
          ...(corporation !== (user.corporation_id ?? '') && { corporation_id: corporation || null }),
        })
      }
      onDone={onDone}
      onClose={onClose}
    >
      <TextField
        label={v('register.displayName')}
        value={name}
        required
        maxLength={100}
        onInput={setName}
        testId="change-user-name"
      />
      <SelectField label={ta('admin.role')} name="role" value={role} options={roles()} onChange={setRole} />
      <SelectField
        label={ta('contents.corporation')}
        name="corporation"
        value={corporation}
        options={isListed ? options : [...options, [corporation, ta('contents.otherCorporation')]]}
        onChange={setCorporation}
      />
    </FormDialog>
  );
}

interface CodeProps {
  name: string;
  code: string;
  expires: string;
  onClose: () => void;
}

/** Shows a code for a new password, which the server shows only once. */
export function ResetCodeDialog({ name, code, expires, onClose }: CodeProps) {
  const [isCopied, setCopied] = useState(false);
  return (
    <Dialog title={ta('users.codeTitle', { name })} onClose={onClose} testId="code-dialog">
      <p>{ta('users.codeText', { time: formatSince(expires, language.value) })}</p>
      <output class="code" data-testid="reset-code">
        {code}
      </output>
      <div class="dialog-buttons">
        {/* Browsers have no clipboard on plain HTTP. */}
        {navigator.clipboard && (
          <button
            type="button"
            class="button"
            onClick={() => void navigator.clipboard.writeText(code).then(() => setCopied(true))}
          >
            {isCopied ? ta('users.copied') : ta('users.copy')}
          </button>
        )}
        <button type="button" class="button button-primary" onClick={onClose}>
          {t('common.close')}
        </button>
      </div>
    </Dialog>
  );
}
