import { computed, type Signal, signal } from '@preact/signals';
import { refresher, sessionLost } from '../api';
import { deleteVideo, reprocessVideo } from '../api/endpoints';
import { ApiError, errorText, isAbort, isMissing, isPassing } from '../api/errors';
import type { VideoSummary } from '../api/types';
import { type UploadHandle, uploadVideo } from '../api/upload';
import { t } from '../i18n';
import { titleFromFileName } from '../lib/format';
import { TransferRate } from './rate';

export type UploadState =
  | { phase: 'draft' | 'queued' | 'cancelled' }
  | { phase: 'sending'; sent: number; speed: number | null; secondsLeft: number | null }
  /** Stopped by the viewer; the server keeps what has arrived. */
  | { phase: 'paused'; sent: number }
  | { phase: 'failed'; message: string }
  /** Arrived on the server. */
  | { phase: 'processing' | 'done'; videoId: string }
  /** The server could not process it. */
  | { phase: 'unusable'; videoId: string; video: Pick<VideoSummary, 'failure_code' | 'failure_reason'> };

export interface UploadItem {
  key: number;
  file: File;
  title: Signal<string>;
  description: Signal<string>;
  isProtected: Signal<boolean>;
  state: Signal<UploadState>;
  /** The video that has the same bytes. */
  duplicateOf: Signal<string | null>;
}

/** Uploads belong to the site, not to the upload page: going to another page does not stop them. */
export const uploads = signal<readonly UploadItem[]>([]);

export const overallPercent = computed<number | null>(() => {
  const active = uploads.value.filter(({ state }) => /^(queued|sending)$/.test(state.value.phase));
  if (active.length === 0) return null;
  const total = active.reduce((sum, item) => sum + item.file.size, 0);
  const sent = active.reduce(
    (sum, { state }) => sum + (state.value.phase === 'sending' ? state.value.sent : 0),
    0,
  );
  return Math.floor((sent / total) * 100);
});

let nextKey = 1;
let current: { item: UploadItem; handle: UploadHandle } | null = null;
let pumping = false;

export function addFiles(files: Iterable<File>): string[] {
  const refused: string[] = [];
  const added: UploadItem[] = [];
  for (const file of files) {
    if (!looksLikeVideo(file)) refused.push(t('upload.notVideo', { name: file.name }));
    else if (file.size === 0) refused.push(t('upload.empty', { name: file.name }));
    else added.push(draft(file));
  }
  uploads.value = [...uploads.value, ...added];
  return refused;
}

/** A hint for the viewer only; the server probes the content itself. */
export function looksLikeVideo(file: Pick<File, 'name' | 'type'>): boolean {
  return (
    file.type.startsWith('video/') ||
    /\.(mp4|m4v|mov|mkv|webm|avi|ts|mts|m2ts|mpg|mpeg|wmv|flv)$/i.test(file.name)
  );
}

function draft(file: File): UploadItem {
  return {
    key: nextKey++,
    file,
    title: signal(titleFromFileName(file.name)),
    description: signal(''),
    isProtected: signal(false),
    state: signal<UploadState>({ phase: 'draft' }),
    duplicateOf: signal<string | null>(null),
  };
}

export function startDrafts(): void {
  for (const { state } of uploads.value) {
    if (state.value.phase === 'draft') state.value = { phase: 'queued' };
  }
  void pump();
}

export function retry(item: UploadItem): void {
  item.state.value = { phase: 'queued' };
  void pump();
}

/** Retries a video that could not be processed: with the file on the server, or by a new upload if that is deleted. */
export async function retryProcessing(item: UploadItem): Promise<void> {
  const state = item.state.peek();
  if (state.phase !== 'unusable') return;
  try {
    await reprocessVideo(state.videoId);
    item.state.value = { phase: 'processing', videoId: state.videoId };
  } catch (error) {
    if (isPassing(error)) throw error;
    await discard(state.videoId);
    retry(item);
  }
}

/** Removes a video that could not be processed. */
export async function discardUpload(item: UploadItem): Promise<void> {
  const state = item.state.peek();
  if (state.phase === 'unusable') await discard(state.videoId);
  remove(item);
}

async function discard(videoId: string): Promise<void> {
  await deleteVideo(videoId).catch((error: unknown) => {
    if (!isMissing(error)) throw error;
  });
}

/** Stops sending; `retry` goes on where it was. */
export function pause(item: UploadItem): void {
  const state = item.state.peek();
  const sent = state.phase === 'sending' ? state.sent : 0;
  if (current?.item === item) current.handle.pause();
  item.state.value = { phase: 'paused', sent };
}

export function cancel(item: UploadItem): void {
  if (current?.item === item) current.handle.abort();
  item.state.value = { phase: 'cancelled' };
}

export function remove(item: UploadItem): void {
  uploads.value = uploads.value.filter((other) => other !== item);
}

export function clearFinished(): void {
  uploads.value = uploads.value.filter(({ state }) => !/^(done|cancelled)$/.test(state.value.phase));
}

/** Sends one file after the other, so that each gets the full bandwidth and the time left is meaningful. */
async function pump(): Promise<void> {
  if (pumping) return;
  pumping = true;
  try {
    for (let item = nextQueued(); item; item = nextQueued()) await send(item);
  } finally {
    pumping = false;
  }
}

function nextQueued(): UploadItem | undefined {
  return uploads.value.find(({ state }) => state.value.phase === 'queued');
}

async function send(item: UploadItem): Promise<void> {
  item.state.value = { phase: 'sending', sent: 0, speed: null, secondsLeft: null };
  item.duplicateOf.value = null;
  try {
    const videoId = await attempt(item).catch(async (error: unknown) => {
      if (!(error instanceof ApiError && error.status === 401)) throw error;
      if ((await refresher.refresh(Date.now())) === 'denied') {
        sessionLost.value = true;
        throw error;
      }
      return attempt(item);
    });
    item.state.value = { phase: 'processing', videoId };
  } catch (error) {
    // `pause` and `cancel` have set the state.
    if (isAbort(error)) return;
    item.duplicateOf.value = duplicateOf(error);
    item.state.value = { phase: 'failed', message: errorText(error) };
  } finally {
    current = null;
  }
}

async function attempt(item: UploadItem): Promise<string> {
  const rate = new TransferRate();
  rate.add(performance.now(), 0);
  const { file } = item;
  const title = item.title.value.trim() || titleFromFileName(file.name);
  const description = item.description.value.trim();
  const isProtected = item.isProtected.value;
  const handle = uploadVideo({ title, description, isProtected, file }, (sent) => {
    if (item.state.peek().phase !== 'sending') return;
    rate.add(performance.now(), sent);
    item.state.value = {
      phase: 'sending',
      sent,
      speed: rate.bytesPerSecond,
      secondsLeft: rate.secondsLeft(file.size),
    };
  });
  current = { item, handle };
  const arrived = await handle.result;
  item.duplicateOf.value = arrived.duplicateOf;
  return arrived.id;
}

/** Returns the video whose bytes made the server refuse an upload. */
function duplicateOf(error: unknown): string | null {
  const videoId = error instanceof ApiError ? error.details.video_id : null;
  return typeof videoId === 'string' ? videoId : null;
}

export function warnBeforeLeaving(): void {
  window.addEventListener('beforeunload', (event) => {
    if (overallPercent.value !== null) event.preventDefault();
  });
}
