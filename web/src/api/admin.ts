import { api } from './index';
import type { Page, Role, User, UserStatus, VideoDetail, VideoStatus, VideoSummary } from './types';

type Abortable = { signal?: AbortSignal };
type Query = Record<string, string | number | undefined>;

/** A page of a list that is also read by a cursor, which costs the same however far down it is. */
export interface CursorPage<Item> extends Page<Item> {
  next_cursor: string | null;
}

export interface Content extends VideoSummary {
  description: string;
  tags: string[];
  uploader_id: string;
  corporation_id: string | null;
  duplicate_of: string | null;
  series_id: string | null;
  season: number | null;
  episode: number | null;
}

export interface TrashedContent extends Content {
  deleted_at: string;
}

export interface ContentEdit {
  title?: string;
  description?: string;
  tags?: string[];
  corporation_id?: string | null;
  series_id?: string | null;
  season?: number | null;
  episode?: number | null;
}

export interface Account extends Omit<User, 'can_upload'> {
  corporation_id: string | null;
  created_at: string;
}

export interface Corporation {
  id: string;
  name: string;
  plan: 'free' | 'paid';
  plan_expires_at: string | null;
  created_at: string;
}

export interface SeriesName {
  id: string;
  title: string;
}

export type JobStatus = 'queued' | 'running' | 'stopped' | 'finished' | 'failed';

export interface Job {
  id: string;
  kind: 'import' | 'reprocess';
  status: JobStatus;
  options: Record<string, unknown>;
  total: number | null;
  done: number;
  counts: Record<string, number>;
  error: string | null;
  created_at: string;
  finished_at: string | null;
}

export interface JobResult {
  outcome: string;
  path: string;
  video_id: string | null;
  detail: string;
}

export interface DeadLetter {
  id: string;
  subscription: string;
  event_id: string;
  type: string;
  subject: string;
  attempts: number;
  reason: string;
  occurred_at: string;
  died_at: string;
  request_id: string;
}

export interface DeadLetterDetail extends DeadLetter {
  source: string;
  traceparent: string;
  body: string;
}

export interface AuditEntry {
  id: string;
  at: string;
  action: string;
  actor_id: string | null;
  target_kind: string;
  target_id: string | null;
  client_address: string;
  details: Record<string, unknown>;
}

export interface LoggedView {
  session_id: string;
  user_id: string;
  login_id: string | null;
  video_id: string;
  video_title: string | null;
  source: string;
  started_at: string;
  stopped_at: string | null;
  end_reason: string | null;
  seconds: number | null;
  bytes: number | null;
}

/** As much as one request may ask for. */
const MOST = 100;

export const id = encodeURIComponent;

/** Adds the parameters that have a value. A cursor takes the place of the page. */
export function addressOf(path: string, params: Query): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    const isReplaced = name === 'page' && Boolean(params.cursor);
    if (value !== undefined && value !== '' && !isReplaced) search.set(name, String(value));
  }
  return search.size > 0 ? `${path}?${search}` : path;
}

export const send = (
  method: 'POST' | 'PUT' | 'PATCH' | 'DELETE',
  path: string,
  body?: unknown,
): Promise<Response> => api.request(path, body === undefined ? { method } : { method, body });

export const answer = async <T>(method: 'POST' | 'PUT' | 'PATCH', path: string, body?: unknown): Promise<T> =>
  (await (await send(method, path, body)).json()) as T;

// Contents

export interface ContentFilter {
  query?: string;
  status?: VideoStatus | '';
  tag?: string;
  corporation_id?: string;
  uploader_id?: string;
  sort?: string;
  page?: number;
  cursor?: string;
  page_size?: number;
}

export const listContents = (filter: ContentFilter, options: Abortable = {}): Promise<CursorPage<Content>> =>
  api.json(addressOf('/api/videos', filter as Query), options);

export const editContent = (videoId: string, edit: ContentEdit): Promise<VideoDetail> =>
  answer('PATCH', `/api/videos/${id(videoId)}`, edit);

export const listTrash = (
  page: number,
  pageSize: number,
  options: Abortable = {},
): Promise<Page<TrashedContent>> => api.json(addressOf('/api/trash', { page, page_size: pageSize }), options);

export const restoreContent = (videoId: string): Promise<VideoDetail> =>
  answer('POST', `/api/videos/${id(videoId)}/restore`);

/** The first hundred series by title. */
export const listSeries = (options: Abortable = {}): Promise<Page<SeriesName>> =>
  api.json(addressOf('/api/series', { sort: 'title', page_size: MOST }), options);

// Users

export interface UserFilter {
  query?: string;
  status?: UserStatus | '';
  role?: Role | '';
  corporation_id?: string;
  page?: number;
  page_size?: number;
}

export const listAccounts = (filter: UserFilter, options: Abortable = {}): Promise<Page<Account>> =>
  api.json(addressOf('/api/users', filter as Query), options);

/** The newest hundred accounts: for the names in logs. */
export const listNewestAccounts = (options: Abortable = {}): Promise<Page<Account>> =>
  listAccounts({ page_size: MOST }, options);

export interface NewAccount {
  login_id: string;
  password: string;
  display_name: string;
  role: Role;
  corporation_id: string | null;
}

export const createAccount = (account: NewAccount): Promise<Account> => answer('POST', '/api/users', account);

export const changeAccount = (
  userId: string,
  change: Partial<Pick<Account, 'display_name' | 'role' | 'corporation_id'>>,
): Promise<Account> => answer('PATCH', `/api/users/${id(userId)}`, change);

export const setApproved = (userId: string, isApproved: boolean): Promise<Account> =>
  answer('POST', `/api/users/${id(userId)}/${isApproved ? 'approve' : 'suspend'}`);

export const issueResetCode = (userId: string): Promise<{ code: string; expires_at: string }> =>
  answer('POST', `/api/users/${id(userId)}/password-reset`);

export async function deleteAccount(userId: string): Promise<void> {
  await send('DELETE', `/api/users/${id(userId)}`);
}

// Corporations

export const listCorporations = (
  query: string,
  page: number,
  options: Abortable = {},
): Promise<Page<Corporation>> =>
  api.json(addressOf('/api/corporations', { query, page, page_size: MOST }), options);

export const createCorporation = (name: string): Promise<Corporation> =>
  answer('POST', '/api/corporations', { name });

export const renameCorporation = (corporationId: string, name: string): Promise<Corporation> =>
  answer('PATCH', `/api/corporations/${id(corporationId)}`, { name });

export const setPlan = (
  corporationId: string,
  plan: Corporation['plan'],
  expires_at: string | null,
): Promise<Corporation> => answer('PUT', `/api/corporations/${id(corporationId)}/plan`, { plan, expires_at });

export async function deleteCorporation(corporationId: string): Promise<void> {
  await send('DELETE', `/api/corporations/${id(corporationId)}`);
}

// Imports and other bulk work

export interface Scan {
  folder: string;
  prune: boolean;
  rescan: boolean;
}

export const startScan = (scan: Scan): Promise<Job> => answer('POST', '/api/imports/scans', scan);

export const importFilm = (location: string, title: string): Promise<VideoDetail> =>
  answer('POST', '/api/imports', { location, title });

export const reprocessAll = (kinds: readonly string[]): Promise<Job> => {
  const search = new URLSearchParams(kinds.map((kind) => ['kind', kind]));
  return answer('POST', search.size > 0 ? `/api/videos/process?${search}` : '/api/videos/process');
};

export const listJobs = (page: number, pageSize: number, options: Abortable = {}): Promise<Page<Job>> =>
  api.json(addressOf('/api/admin/jobs', { page, page_size: pageSize }), options);

export const getJob = (jobId: string, options: Abortable = {}): Promise<Job> =>
  api.json(`/api/admin/jobs/${id(jobId)}`, options);

export const listJobResults = (
  jobId: string,
  outcome: string,
  page: number,
  options: Abortable = {},
): Promise<Page<JobResult>> =>
  api.json(addressOf(`/api/admin/jobs/${id(jobId)}/results`, { outcome, page, page_size: 20 }), options);

export const setJobRunning = (jobId: string, isRunning: boolean): Promise<Job> =>
  answer('POST', `/api/admin/jobs/${id(jobId)}/${isRunning ? 'resume' : 'stop'}`);

// Dead letters

export const listDeadLetters = (
  subscription: string,
  options: Abortable = {},
): Promise<{ items: DeadLetter[] }> =>
  api.json(addressOf('/api/admin/dead-letters', { subscription, limit: MOST }), options);

export const getDeadLetter = (letterId: string, options: Abortable = {}): Promise<DeadLetterDetail> =>
  api.json(`/api/admin/dead-letters/${id(letterId)}`, options);

export const replayDeadLetter = (letterId: string): Promise<{ replayed: number }> =>
  answer('POST', `/api/admin/dead-letters/${id(letterId)}/replay`);

export const replayQueue = (subscription: string): Promise<{ replayed: number }> =>
  answer('POST', '/api/admin/dead-letters/replay', { subscription });

// Logs

export interface AuditFilter {
  action?: string;
  actor_id?: string;
  target_id?: string;
  since?: string;
  until?: string;
  page?: number;
  cursor?: string;
  page_size?: number;
}

export const listAudit = (filter: AuditFilter, options: Abortable = {}): Promise<CursorPage<AuditEntry>> =>
  api.json(addressOf('/api/admin/audit', filter as Query), options);

export interface ViewFilter {
  user_id?: string;
  video_id?: string;
  from?: string;
  to?: string;
  page?: number;
  cursor?: string;
  page_size?: number;
}

export const listViews = (filter: ViewFilter, options: Abortable = {}): Promise<CursorPage<LoggedView>> =>
  api.json(addressOf('/api/admin/views', filter as Query), options);

/** The address of all matching views as a CSV file. */
export const viewsCsvAddress = ({ user_id, video_id, from, to }: ViewFilter): string =>
  addressOf('/api/admin/views', { format: 'csv', user_id, video_id, from, to });
