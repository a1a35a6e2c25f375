import { t } from '../i18n';

export class ApiError extends Error {
  override name = 'ApiError';

  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly details: Readonly<Record<string, unknown>> = {},
  ) {
    super(message);
  }
}

/** The request never got an answer: offline, refused, or cut off. */
export class NetworkError extends Error {
  override name = 'NetworkError';
}

/** Reads `{"error": {code, message, details}}`; anything else, such as a proxy's HTML page, becomes a plain error. */
export function parseApiError(status: number, body: string): ApiError {
  try {
    const { error } = JSON.parse(body) as {
      error?: { code?: unknown; message?: unknown; details?: Record<string, unknown> };
    };
    if (typeof error?.code === 'string' && typeof error.message === 'string') {
      return new ApiError(status, error.code, error.message, error.details ?? {});
    }
  } catch {
    // Not JSON: fall through.
  }
  return new ApiError(status, 'UNEXPECTED', '');
}

export function errorText(error: unknown): string {
  if (error instanceof ApiError) {
    return error.message || t('error.unexpected', { status: error.status });
  }
  return t('error.network');
}

export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'AbortError';
}
