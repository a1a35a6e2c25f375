import type { Bytes } from './bytes';
import type { ChunkFailure } from './retry';

/** A request for bytes that did not give them. */
export class FetchError extends Error {
  override name = 'FetchError';

  constructor(readonly failure: ChunkFailure) {
    super(failure.kind);
  }
}

/** No byte for this long, and the connection is given up: a player must not load for ever. */
export const SILENCE_MS = 15_000;

export interface RangeRequest {
  url: string;
  offset: number;
  length: number;
  isRetry: boolean;
  signal: AbortSignal;
}

export interface RangeAnswer {
  /** Fewer than asked for only where the file ends. */
  bytes: Bytes;
  /** Of the whole file, if the server says so. */
  fileBytes: number | null;
}

/**
 * Fetches a range of bytes. The ticket in the URL suffices, so no credentials are sent.
 *
 * @throws FetchError, or the `AbortError` of the signal
 */
export async function fetchRange(
  { url, offset, length, isRetry, signal }: RangeRequest,
  send: typeof fetch = fetch,
): Promise<RangeAnswer> {
  const silence = new Silence(signal);
  try {
    const response = await send(url, {
      headers: { Range: `bytes=${offset}-${offset + length - 1}` },
      credentials: 'omit',
      cache: isRetry ? 'reload' : 'default',
      signal: silence.signal,
    });
    if (response.status !== 206) {
      void response.body?.cancel();
      throw new FetchError(failureOf(response));
    }
    const bytes = await readBody(response, length, silence);
    return { bytes, fileBytes: fileBytes(response.headers.get('Content-Range')) };
  } catch (error) {
    if (signal.aborted || error instanceof FetchError) throw error;
    throw new FetchError({ kind: 'network', retryAfterSec: null });
  } finally {
    silence.end();
  }
}

/** Aborts a request that has been silent for too long, or whose caller gave it up. */
class Silence {
  private readonly controller = new AbortController();
  private readonly onAbort = () => this.controller.abort();
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly outer: AbortSignal) {
    if (outer.aborted) this.controller.abort();
    outer.addEventListener('abort', this.onAbort);
    this.heard();
  }

  get signal(): AbortSignal {
    return this.controller.signal;
  }

  heard(): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(this.onAbort, SILENCE_MS);
  }

  end(): void {
    clearTimeout(this.timer);
    this.outer.removeEventListener('abort', this.onAbort);
  }
}

async function readBody(response: Response, length: number, silence: Silence): Promise<Bytes> {
  const bytes = new Uint8Array(length);
  const reader = response.body?.getReader();
  let at = 0;
  for (let part = await reader?.read(); part && !part.done; part = await reader?.read()) {
    silence.heard();
    if (at + part.value.length > length) {
      await reader?.cancel();
      throw new FetchError({ kind: 'damaged' });
    }
    bytes.set(part.value, at);
    at += part.value.length;
  }
  return bytes.subarray(0, at);
}

function fileBytes(contentRange: string | null): number | null {
  const found = /\/(\d+)$/.exec(contentRange ?? '');
  return found ? Number(found[1]) : null;
}

/** Only the session knows why a ticket is refused, so each refusal leads to a fresh one. */
function failureOf({ status, headers }: Response): ChunkFailure {
  if (status === 416) return { kind: 'damaged' };
  if (status >= 400 && status < 500 && status !== 408 && status !== 429) return { kind: 'ticket' };
  const wait = headers.get('Retry-After');
  return { kind: 'network', retryAfterSec: wait !== null && /^\d+$/.test(wait) ? Number(wait) : null };
}
