import { ApiError, apiErrorOf, isAbort, NetworkError } from './errors';
import type { RefreshOutcome } from './refresh';

export interface ClientDeps {
  fetch: typeof fetch;
  refresh: (notSince: number) => Promise<RefreshOutcome>;
  language: () => string;
  onSessionLost: () => void;
  now: () => number;
}

export interface RequestOptions {
  method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  body?: unknown;
  /** A body that is not JSON, whose `Content-Type` is in `headers`. */
  raw?: Blob | string;
  headers?: Record<string, string>;
  signal?: AbortSignal;
  /** Lets the request outlive the page; such a request is never retried. */
  keepalive?: boolean;
  /** Off for log-in, where a 401 means wrong credentials, not an expired session. */
  authenticated?: boolean;
  /** An error status whose body is nevertheless the result. */
  accept?: number;
}

/** Guards against CSRF: the back end requires it of unsafe methods that a cookie authorises. */
export const CSRF_HEADERS = { 'X-Requested-With': 'marquee-web' } as const;

export class ApiClient {
  constructor(private readonly deps: ClientDeps) {}

  async request(path: string, options: RequestOptions = {}): Promise<Response> {
    const { authenticated = true, keepalive = false } = options;
    const sentAt = this.deps.now();
    let response = await this.send(path, options);
    if (response.status === 401 && authenticated && !keepalive) {
      const outcome = await this.deps.refresh(sentAt);
      if (outcome === 'unreachable') throw new NetworkError();
      if (outcome === 'refreshed') response = await this.send(path, options);
      if (response.status === 401) this.deps.onSessionLost();
    }
    if (!response.ok && response.status !== options.accept) throw await apiErrorOf(response);
    return response;
  }

  async json<T>(path: string, options: RequestOptions = {}): Promise<T> {
    const response = await this.request(path, options);
    return (await response.json()) as T;
  }

  /** For resources that may not exist: null on 204 and on 404. */
  async optional<T>(path: string, options: RequestOptions = {}): Promise<T | null> {
    try {
      const response = await this.request(path, options);
      return response.status === 204 ? null : ((await response.json()) as T);
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return null;
      throw error;
    }
  }

  private async send(path: string, options: RequestOptions): Promise<Response> {
    const { method = 'GET', body, raw, headers, signal, keepalive = false } = options;
    const init: RequestInit = {
      method,
      keepalive,
      credentials: 'same-origin',
      headers: {
        Accept: 'application/json',
        'Accept-Language': this.deps.language(),
        ...CSRF_HEADERS,
        ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
        ...headers,
      },
    };
    if (body !== undefined) init.body = JSON.stringify(body);
    else if (raw !== undefined) init.body = raw;
    if (signal) init.signal = signal;
    try {
      return await this.deps.fetch(path, init);
    } catch (error) {
      throw isAbort(error) ? error : new NetworkError();
    }
  }
}
