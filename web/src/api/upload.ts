import type { DetailedError, Upload as TusUpload } from 'tus-js-client';
import { language, t } from '../i18n';
import { refresher } from '.';
import { CSRF_HEADERS } from './client';
import { ApiError, isMissing, NetworkError, parseApiError } from './errors';

export interface UploadRequest {
  title: string;
  description: string;
  /** Whether it is to be stored encrypted, for the player of protected films alone. */
  isProtected: boolean;
  file: File;
}

export interface Arrived {
  /** Of the video. */
  id: string;
  /** The video that has the same bytes. */
  duplicateOf: string | null;
}

export interface UploadHandle {
  result: Promise<Arrived>;
  /** Stops sending; the server keeps what has arrived. */
  pause: () => void;
  /** Stops, and has the server forget what has arrived. */
  abort: () => void;
}

const ENDPOINT = '/api/uploads';
const FRESH_ENOUGH_MS = 5 * 60_000;
/** After each failure without a byte in between; progress starts the list anew. About ten minutes. */
export const RETRY_DELAYS_MS = [500, 1000, 2000, 4000, 8000, ...Array<number>(20).fill(30_000)];

/** Sends a file by tus: in as many requests as the line needs, also after a reload of the page. */
export function uploadVideo(upload: UploadRequest, onProgress: (sentBytes: number) => void): UploadHandle {
  let resolve: (arrived: Arrived) => void = () => undefined;
  let reject: (error: unknown) => void = () => undefined;
  const result = new Promise<Arrived>((...settle) => {
    [resolve, reject] = settle;
  });
  let running: TusUpload | null = null;
  let isStopped = false;

  const begin = async () => {
    // A library that only those need who upload.
    const { Upload } = await import('tus-js-client');
    if (isStopped) return;
    running = new Upload(upload.file, {
      endpoint: ENDPOINT,
      metadata: {
        filename: upload.file.name,
        filetype: upload.file.type,
        title: upload.title,
        description: upload.description,
        ...(upload.isProtected ? { protection: 'lsv' } : {}),
      },
      headers: { 'Accept-Language': language.value, ...CSRF_HEADERS },
      retryDelays: RETRY_DELAYS_MS,
      removeFingerprintOnSuccess: true,
      onBeforeRequest: () => refresher.ensureFresh(FRESH_ENOUGH_MS),
      onAfterResponse: (request, response) => {
        const status = response.getStatus();
        // The library would begin anew after any failed HEAD: right only when the upload is gone.
        if (request.getMethod() === 'HEAD' && status >= 400 && !isGone(status)) {
          throw headError(status, response.getHeader('Marquee-Duplicate-Of') ?? null);
        }
      },
      onShouldRetry: (error) => mayPass(uploadError(error)),
      onProgress,
      onSuccess: ({ lastResponse }) => {
        const id = lastResponse.getHeader('Marquee-Video-Id');
        if (id) resolve({ id, duplicateOf: lastResponse.getHeader('Marquee-Duplicate-Of') ?? null });
        else reject(new NetworkError());
      },
      onError: (error) => {
        const reason = uploadError(error);
        if (isDuplicate(reason)) void running?.abort(true).catch(() => undefined);
        reject(reason);
      },
    });
    const [previous] = await running.findPreviousUploads();
    if (previous) running.resumeFromPreviousUpload(previous);
    if (!isStopped) running.start();
  };

  const stop = (forgets: boolean) => {
    isStopped = true;
    // What can't be removed now expires by itself.
    void running?.abort(forgets).catch(() => undefined);
    reject(new DOMException('Upload stopped', 'AbortError'));
  };

  begin().catch(reject);
  return { result, pause: () => stop(false), abort: () => stop(true) };
}

function isGone(status: number): boolean {
  return status === 404 || status === 410;
}

/** Responses to HEAD have no body. */
function headError(status: number, duplicateOf: string | null): ApiError {
  if (duplicateOf === null) return new ApiError(status, 'UNEXPECTED', '');
  return new ApiError(status, 'UPLOAD_CONFLICT', t('upload.duplicate'), { video_id: duplicateOf });
}

/** Whether the server refuses the file, because a video has the same bytes. */
function isDuplicate(error: Error): boolean {
  return error instanceof ApiError && error.status === 409 && 'video_id' in error.details;
}

/** Returns what went wrong as the errors of all other requests. */
export function uploadError(error: Error | DetailedError): Error {
  if (!('originalRequest' in error)) return error;
  if (error.causingError instanceof ApiError) return error.causingError;
  const response = error.originalResponse;
  if (!response) return new NetworkError();
  return parseApiError(response.getStatus(), response.getBody(), response.getHeader('Retry-After') ?? null);
}

/** Whether the upload goes on by itself after an error. */
export function mayPass(error: Error): boolean {
  if (!(error instanceof ApiError)) return error instanceof NetworkError;
  // A conflict about the offset ends by asking for it; one with a video is final.
  if (error.status === 409) return !isDuplicate(error);
  // After 507 the server keeps nothing.
  if (error.status === 507) return false;
  return error.status >= 500 || [408, 423, 429, 460].includes(error.status) || isMissing(error);
}

/** Names of files that were begun in this browser and not finished: choosing one again goes on with it. */
export function unfinishedUploads(): string[] {
  const names = new Set<string>();
  try {
    for (let index = 0; index < localStorage.length; index++) {
      const key = localStorage.key(index);
      if (!key?.startsWith('tus::')) continue;
      const entry = JSON.parse(localStorage.getItem(key) ?? '{}') as { metadata?: { filename?: string } };
      if (entry.metadata?.filename) names.add(entry.metadata.filename);
    }
  } catch {
    // Storage is blocked, or not ours.
  }
  return [...names];
}
