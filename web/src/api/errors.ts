import { t } from '../i18n';

export class ApiError extends Error {
  override name = 'ApiError';

  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly details: Readonly<Record<string, unknown>> = {},
    /** When a retry may succeed, if the server said so. */
    readonly retryAfterSec: number | null = null,
  ) {
    super(message);
  }
}

/** The request got no response: offline, refused, or cut off. */
export class NetworkError extends Error {
  override name = 'NetworkError';
}

/** Reads `{"error": {code, message, details}}`; anything else, such as a proxy's HTML page, becomes a plain error. */
export function parseApiError(status: number, body: string, retryAfter: string | null = null): ApiError {
  const retryAfterSec = retryAfter !== null && /^\d+$/.test(retryAfter) ? Number(retryAfter) : null;
  try {
    const { error } = JSON.parse(body) as {
      error?: { code?: unknown; message?: unknown; details?: Record<string, unknown> };
    };
    if (typeof error?.code === 'string' && typeof error.message === 'string') {
      return new ApiError(status, error.code, error.message, error.details ?? {}, retryAfterSec);
    }
  } catch {
    // Not JSON: fall through.
  }
  return new ApiError(status, 'UNEXPECTED', '', {}, retryAfterSec);
}

export async function apiErrorOf(response: Response): Promise<ApiError> {
  return parseApiError(response.status, await response.text(), response.headers.get('Retry-After'));
}

export function errorText(error: unknown): string {
  if (error instanceof ApiError) {
    // The gateway refuses requests without reading their language.
    if (error.code === 'RATE_LIMITED') return t('error.rateLimited');
    return error.message || t('error.unexpected', { status: error.status });
  }
  return t('error.network');
}

/** Whether the same request may succeed a little later. */
export function isPassing(error: unknown): boolean {
  if (error instanceof ApiError) return error.status >= 500 || error.status === 429 || error.status === 408;
  return error instanceof NetworkError;
}

/** Whether the resource does not exist, or no longer exists. */
export function isMissing(error: unknown): boolean {
  return error instanceof ApiError && (error.status === 404 || error.status === 410);
}

export function retryAfterOf(error: unknown): number | null {
  return error instanceof ApiError ? error.retryAfterSec : null;
}

export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'AbortError';
}
