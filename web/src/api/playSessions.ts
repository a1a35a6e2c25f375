import { ApiError, apiErrorOf, NetworkError } from './errors';
import { api } from './index';
import type {
  KeyGrant,
  LiveStream,
  Page,
  PlaySessionAnswer,
  Qoe,
  StreamMetrics,
  WatchingDevice,
} from './types';

type Abortable = { signal?: AbortSignal };

const PATH = '/api/play-sessions';
const ADMIN_PATH = '/api/admin/streams';
const at = (id: string) => `${PATH}/${encodeURIComponent(id)}`;

export interface PlayRequest {
  video_id: string;
  device_name: string;
  /** A session of the same viewer to end in the same step. */
  instead_of?: string;
  /** Of a player of protected films, base64url. */
  public_key?: string;
}

export const startPlaySession = (request: PlayRequest): Promise<PlaySessionAnswer> =>
  api.json(PATH, { method: 'POST', body: request });

/** Sends a heartbeat. With its ticket, the session survives a server that lost its state. */
export const sendHeartbeat = (id: string, ticket: string | null): Promise<PlaySessionAnswer> =>
  api.json(`${at(id)}/heartbeat`, { method: 'POST', body: { ticket } });

/** Returns the content key of the protected film that an active session of this viewer plays. */
export const requestSessionKey = (id: string, publicKey: string): Promise<KeyGrant> =>
  api.json(`${at(id)}/key`, { method: 'POST', body: { public_key: publicKey } });

/** Stops one of the viewer's sessions, on whichever device. */
export async function stopPlaySession(id: string): Promise<void> {
  await api.request(at(id), { method: 'DELETE' });
}

export const listPlaySessions = (options: Abortable = {}): Promise<Page<WatchingDevice>> =>
  api.json(PATH, options);

const QOE_HEAD_START_MS = 300;

/**
 * Ends this page's own session; works while the page is being closed, and without a login. An ended session accepts no
 * report, so the report is sent first, unless `closing` says that the page has no time left.
 */
export function endPlaySession(
  id: string,
  ticket: string | null,
  qoe: Qoe | null,
  { closing }: { closing: boolean },
): void {
  let ended = false;
  const end = () => {
    if (ended) return;
    ended = true;
    removeEventListener('pagehide', end);
    if (ticket !== null && navigator.sendBeacon?.(`${at(id)}/end?ticket=${encodeURIComponent(ticket)}`))
      return;
    api.request(at(id), { method: 'DELETE', keepalive: true }).catch(() => undefined);
  };
  const reported =
    qoe &&
    api.request(`${at(id)}/qoe`, { method: 'POST', body: qoe, keepalive: true }).catch(() => undefined);
  if (closing || !reported) {
    end();
    return;
  }
  addEventListener('pagehide', end);
  void reported.then(end);
  setTimeout(end, QOE_HEAD_START_MS);
}

/** Requests two bytes of the film to learn why it was refused, which a media element does not report. */
export async function probeStream(url: string): Promise<void> {
  let response: Response;
  try {
    // The ticket in the URL suffices; the bytes may be at another origin, which must get no credentials.
    response = await fetch(url, { headers: { Range: 'bytes=0-1' }, credentials: 'omit', cache: 'no-store' });
  } catch {
    throw new NetworkError();
  }
  if (!response.ok) throw await apiErrorOf(response);
  await response.body?.cancel();
}

/** Returns why a session is over, if the error says so. */
export function endReason(error: unknown): string | null {
  if (!(error instanceof ApiError) || error.code !== 'STREAM_SESSION_NOT_FOUND') return null;
  const { reason } = error.details;
  return typeof reason === 'string' ? reason : 'unknown';
}

// administration

/** Returns all play sessions and the streaming metrics, in one response. */
export const listStreams = (
  page: number,
  pageSize: number,
  options: Abortable = {},
): Promise<Page<LiveStream> & { metrics: StreamMetrics }> =>
  api.json(`${ADMIN_PATH}?page=${page}&page_size=${pageSize}`, options);

export async function stopStream(id: string): Promise<void> {
  await api.request(`${ADMIN_PATH}/${encodeURIComponent(id)}`, { method: 'DELETE' });
}
