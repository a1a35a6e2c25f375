import type { ComponentChildren } from 'preact';
import type { WatchingDevice } from '../api/types';
import { language, t } from '../i18n';
import { formatSince } from '../lib/format';

interface Props {
  devices: readonly WatchingDevice[];
  /** Renders the actions of one session. */
  action: (device: WatchingDevice) => ComponentChildren;
}

/** Lists the devices on which a viewer is watching, with the videos. */
export function DeviceList({ devices, action }: Props) {
  return (
    <ul class="people devices" data-testid="devices">
      {devices.map((device) => (
        <li key={device.session_id} data-session-id={device.session_id}>
          <span class="person">
            <strong>{device.device_name}</strong>
            <span>{device.title ?? t('device.unknownTitle')}</span>
            <span>
              {t(device.status === 'queued' ? 'device.waitingSince' : 'device.watchingSince', {
                time: formatSince(device.since, language.value),
              })}
            </span>
          </span>
          {action(device)}
        </li>
      ))}
    </ul>
  );
}
