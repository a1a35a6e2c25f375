import type { IssuedLicence, OfflineLicence } from '../lsv/offline/licences';
import { api } from './index';
import type { Page } from './types';

const PATH = '/api/offline-licenses';

export interface LicenceRequest {
  video_id: string;
  device_id: string;
  device_name: string;
  public_key: string;
  wrap_algorithm: string;
}

/** A licence, and the moment of the answer by the server's clock, if it says so. */
export interface Issued {
  licence: IssuedLicence;
  headers: Headers;
}

async function issued(path: string, body: unknown): Promise<Issued> {
  const response = await api.request(path, { method: 'POST', body });
  return { licence: (await response.json()) as IssuedLicence, headers: response.headers };
}

export const requestLicence = (request: LicenceRequest): Promise<Issued> => issued(PATH, request);

export const renewLicence = (
  id: string,
  request: Pick<LicenceRequest, 'public_key' | 'wrap_algorithm'>,
): Promise<Issued> => issued(`${PATH}/${encodeURIComponent(id)}/renew`, request);

export async function endLicence(id: string): Promise<void> {
  await api.request(`${PATH}/${encodeURIComponent(id)}`, { method: 'DELETE' });
}

export const listLicences = (): Promise<Page<OfflineLicence>> => api.json(`${PATH}?page_size=100`);
