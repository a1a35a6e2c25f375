import { computed, effect } from '@preact/signals';
import { getVideo, listVideos } from '../api/endpoints';
import { isMissing, retryAfterOf } from '../api/errors';
import type { VideoSummary } from '../api/types';
import type { Cancel } from '../lib/backgroundTimers';
import { pollIntervalMs, retryDelayMs } from '../lib/retry';
import { whenSeen } from '../lib/whenSeen';
import { remove, type UploadItem, type UploadState, uploads } from './queue';

const FIRST_MS = 2000;
const LONGEST_MS = 15_000;
const NEWEST = 100;

const isAnyProcessing = computed(() => uploads.value.some(({ state }) => state.value.phase === 'processing'));

/** Follows uploads until they are ready or failed, on whatever page the viewer is. */
export function followUploads(): void {
  let cancel: Cancel = () => undefined;
  let rounds = 0;
  let failures = 0;
  const schedule = (delayMs: number) => {
    cancel = whenSeen(delayMs, () => void look(), { retries: failures > 0 });
  };
  const look = async () => {
    try {
      await updateUploads();
      failures = 0;
      rounds += 1;
    } catch (error) {
      failures += 1;
      if (isAnyProcessing.peek()) schedule(retryDelayMs(failures, retryAfterOf(error), Math.random()));
      return;
    }
    if (isAnyProcessing.peek()) schedule(pollIntervalMs(rounds, FIRST_MS, LONGEST_MS));
  };
  effect(() => {
    cancel();
    if (!isAnyProcessing.value) return;
    rounds = failures = 0;
    schedule(FIRST_MS);
  });
}

/** Takes one request for all, as new videos come first in the list, and at most one more for one that is not in it. */
async function updateUploads(): Promise<void> {
  const waiting = uploads.peek().filter(({ state }) => state.peek().phase === 'processing');
  const { items } = await listVideos({ page: 1, pageSize: NEWEST });
  const found = new Map(items.map((video) => [video.id, video]));
  let mayAsk = true;
  for (const item of waiting) {
    const state = item.state.peek();
    if (state.phase !== 'processing') continue;
    const video = found.get(state.videoId);
    if (video) settle(item, video);
    else if (mayAsk) {
      mayAsk = false;
      await settleAlone(item, state.videoId);
    }
  }
}

async function settleAlone(item: UploadItem, videoId: string): Promise<void> {
  try {
    settle(item, await getVideo(videoId));
  } catch (error) {
    if (!isMissing(error)) throw error;
    // It was deleted elsewhere.
    remove(item);
  }
}

function settle(item: UploadItem, video: VideoSummary): void {
  const next = stateOf(video);
  if (next.phase !== 'processing') item.state.value = next;
}

/** Returns the state of an upload. */
export function stateOf(
  video: Pick<VideoSummary, 'id' | 'status' | 'failure_code' | 'failure_reason'>,
): UploadState {
  const { id: videoId, status, failure_code, failure_reason } = video;
  switch (status) {
    case 'ready':
      return { phase: 'done', videoId };
    case 'failed':
      return { phase: 'unusable', videoId, video: { failure_code, failure_reason } };
    case 'processing':
      return { phase: 'processing', videoId };
  }
}
