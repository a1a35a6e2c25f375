import { useState } from 'preact/hooks';
import { Icon } from '../../components/Icon';
import { TextField } from '../../components/TextField';
import { t } from '../../i18n';
import { v } from '../../i18n/viewer';
import { deviceName, MAX_DEVICE_NAME_CHARS, setOwnDeviceName } from '../../lib/deviceName';

/** The name of this device in the list of the viewer's devices. It is stored in this browser only. */
export function DevicePanel() {
  const [name, setName] = useState(deviceName);
  const [isSaved, setSaved] = useState(false);
  return (
    <section class="panel" aria-labelledby="this-device">
      <h2 id="this-device">{v('account.device')}</h2>
      <form
        class="device-form"
        onSubmit={(event) => {
          event.preventDefault();
          setOwnDeviceName(name);
          setName(deviceName());
          setSaved(true);
        }}
      >
        <TextField
          label={v('account.deviceName')}
          hint={v('account.deviceHint')}
          value={name}
          maxLength={MAX_DEVICE_NAME_CHARS}
          testId="device-name"
          onInput={(value) => {
            setName(value);
            setSaved(false);
          }}
        />
        <div class="device-save">
          <button type="submit" class="button button-primary" data-testid="device-save">
            {t('common.save')}
          </button>
          <p class="approved" role="status">
            {isSaved && (
              <>
                <Icon name="check" size={18} /> {v('account.deviceSaved')}
              </>
            )}
          </p>
        </div>
      </form>
    </section>
  );
}
