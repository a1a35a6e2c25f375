import { useState } from 'preact/hooks';
import { changeName } from '../../api/me';
import type { User } from '../../api/types';
import { TextField } from '../../components/TextField';
import { v } from '../../i18n/viewer';
import { updateUser } from '../../session/session';
import { SaveRow, useSaving } from './saving';

const MAX_NAME_CHARS = 100;

/** The name that others see. */
export function NamePanel({ user }: { user: User }) {
  const [name, setName] = useState(user.display_name);
  const saving = useSaving();
  return (
    <section class="panel" aria-labelledby="own-name">
      <h2 id="own-name">{v('account.name')}</h2>
      <form
        class="device-form"
        onSubmit={(event) => {
          event.preventDefault();
          void saving.save(async () => {
            const changed = await changeName(name.trim());
            updateUser(changed);
            setName(changed.display_name);
            return v('account.nameSaved');
          });
        }}
      >
        <TextField
          label={v('account.name')}
          hint={v('account.nameHint', { login: user.login_id })}
          value={name}
          required
          maxLength={MAX_NAME_CHARS}
          autocomplete="name"
          testId="own-name"
          onInput={(value) => {
            setName(value);
            saving.reset();
          }}
        />
        <SaveRow saving={saving} testId="own-name-save" />
      </form>
    </section>
  );
}
