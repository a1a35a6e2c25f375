import { addressOf, id, send } from './admin';
import { api } from './index';
import type { Page } from './types';

export type EndOfLicence = 'user' | 'admin' | 'expired' | 'account';

/** A licence to play a protected film on one device without the network. */
export interface DeviceLicence {
  id: string;
  user_id: string;
  video_id: string;
  device_id: string;
  device_name: string;
  issued_at: string;
  expires_at: string;
  /** Null while it is in force. */
  ended_at: string | null;
  end_reason: EndOfLicence | null;
}

export interface LicenceFilter {
  user_id?: string;
  video_id?: string;
  device_id?: string;
  page?: number;
  page_size?: number;
}

/** Also those that ended in the last 90 days. */
export const listDeviceLicences = (
  filter: LicenceFilter,
  options: { signal?: AbortSignal } = {},
): Promise<Page<DeviceLicence>> => api.json(addressOf('/api/admin/offline-licenses', { ...filter }), options);

export async function revokeLicence(licenceId: string): Promise<void> {
  await send('DELETE', `/api/admin/offline-licenses/${id(licenceId)}`);
}
