import { api } from './index';

/** A login session of the caller: a browser or an app that is logged in. */
export interface LoginSession {
  id: string;
  is_current: boolean;
  began_at: string;
  last_used_at: string;
  user_agent: string;
  client_address: string;
}

export async function listLogins(options: { signal?: AbortSignal } = {}): Promise<LoginSession[]> {
  const { items } = await api.json<{ items: LoginSession[] }>('/api/users/me/login-sessions', options);
  return items;
}

export async function endLogin(sessionId: string): Promise<void> {
  await api.request(`/api/users/me/login-sessions/${encodeURIComponent(sessionId)}`, { method: 'DELETE' });
}
