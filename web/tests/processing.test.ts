import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { deleteVideo, getVideo, listVideos, reprocessVideo } from '../src/api/endpoints';
import { ApiError, NetworkError } from '../src/api/errors';
import { uploadVideo } from '../src/api/upload';
import { followUploads } from '../src/upload/processing';
import {
  addFiles,
  discardUpload,
  retryProcessing,
  startDrafts,
  type UploadItem,
  uploads,
} from '../src/upload/queue';

vi.mock('../src/api/endpoints');
vi.mock('../src/api/upload');
vi.mock('../src/api', () => ({
  refresher: { ensureFresh: async () => undefined },
  sessionLost: { value: false },
}));

const page = Object.assign(new EventTarget(), { visibilityState: 'visible' });
vi.stubGlobal('document', page);
vi.stubGlobal('window', new EventTarget());

const summary = (id: string, status: string, failure_code: string | null = null) =>
  ({ id, status, failure_code, failure_reason: null }) as Awaited<ReturnType<typeof getVideo>>;

function listed(...videos: ReturnType<typeof summary>[]) {
  return { items: videos, page: 1, page_size: 100, total: videos.length };
}

/** Files that have arrived and are being processed; the first is `v1`. */
async function uploaded(count: number): Promise<UploadItem[]> {
  let number = 0;
  vi.mocked(uploadVideo).mockImplementation(() => ({
    result: Promise.resolve({ id: `v${++number}`, duplicateOf: null }),
    pause: () => undefined,
    abort: () => undefined,
  }));
  addFiles(
    Array.from({ length: count }, (_, index) => new File(['film'], `${index}.mp4`, { type: 'video/mp4' })),
  );
  startDrafts();
  await vi.waitFor(() => expect(uploads.value.at(-1)?.state.value.phase).toBe('processing'));
  return [...uploads.value];
}

const phases = () => uploads.value.map(({ state }) => state.value.phase);

followUploads();

beforeEach(() => void vi.useFakeTimers());

afterEach(() => {
  uploads.value = [];
  page.visibilityState = 'visible';
  vi.useRealTimers();
  vi.resetAllMocks();
});

describe('followUploads', () => {
  it('asks once for all, ever more slowly, until the last is settled', async () => {
    await uploaded(3);
    vi.mocked(listVideos).mockResolvedValue(
      listed(summary('v3', 'processing'), summary('v2', 'processing'), summary('v1', 'processing')),
    );
    await vi.advanceTimersByTimeAsync(60_000);
    // 2 + 3 + 4.5 + 6.75 + 10.125 + 15 + 15 seconds.
    expect(listVideos).toHaveBeenCalledTimes(7);
    vi.mocked(listVideos).mockResolvedValue(
      listed(summary('v3', 'ready'), summary('v2', 'failed', 'DAMAGED'), summary('v1', 'ready')),
    );
    await vi.advanceTimersByTimeAsync(15_000);
    expect(phases()).toEqual(['done', 'unusable', 'done']);
    expect(uploads.value[1]?.state.value).toEqual({
      phase: 'unusable',
      videoId: 'v2',
      video: { failure_code: 'DAMAGED', failure_reason: null },
    });
    await vi.advanceTimersByTimeAsync(600_000);
    expect(listVideos).toHaveBeenCalledTimes(8);
  });

  it('asks nothing in a hidden tab', async () => {
    await uploaded(1);
    page.visibilityState = 'hidden';
    await vi.advanceTimersByTimeAsync(600_000);
    expect(listVideos).not.toHaveBeenCalled();
  });

  it('goes on when the server is back', async () => {
    await uploaded(1);
    vi.mocked(listVideos)
      .mockRejectedValueOnce(new NetworkError())
      .mockResolvedValue(listed(summary('v1', 'ready')));
    await vi.advanceTimersByTimeAsync(4000);
    expect(phases()).toEqual(['done']);
  });

  it('forgets what was deleted elsewhere', async () => {
    await uploaded(1);
    vi.mocked(listVideos).mockResolvedValue(listed());
    vi.mocked(getVideo).mockRejectedValue(new ApiError(410, 'CONTENT_DELETED', 'gone'));
    await vi.advanceTimersByTimeAsync(2000);
    expect(phases()).toEqual([]);
  });
});

describe('what can be done about a video that could not be processed', () => {
  async function unusable(): Promise<UploadItem> {
    const [item] = await uploaded(1);
    vi.mocked(listVideos).mockResolvedValue(listed(summary('v1', 'failed', 'TIME_LIMIT')));
    await vi.advanceTimersByTimeAsync(2000);
    if (!item) throw new Error('nothing was uploaded');
    return item;
  }

  it('is another try with the file that the server has', async () => {
    const item = await unusable();
    vi.mocked(reprocessVideo).mockResolvedValue(summary('v1', 'processing'));
    await retryProcessing(item);
    expect(reprocessVideo).toHaveBeenCalledWith('v1');
    expect(item.state.value).toEqual({ phase: 'processing', videoId: 'v1' });
    expect(uploadVideo).toHaveBeenCalledOnce();
  });

  it('is sending it again when the server has nothing any more', async () => {
    const item = await unusable();
    vi.mocked(reprocessVideo).mockRejectedValue(new ApiError(422, 'UPLOAD_INVALID_MEDIA', 'no'));
    vi.mocked(deleteVideo).mockResolvedValue();
    await retryProcessing(item);
    await vi.waitFor(() => expect(item.state.value).toEqual({ phase: 'processing', videoId: 'v2' }));
    expect(deleteVideo).toHaveBeenCalledWith('v1');
  });

  it('leaves it as it is while the server is away', async () => {
    const item = await unusable();
    vi.mocked(reprocessVideo).mockRejectedValue(new NetworkError());
    await expect(retryProcessing(item)).rejects.toThrow(NetworkError);
    expect(item.state.value.phase).toBe('unusable');
    expect(deleteVideo).not.toHaveBeenCalled();
  });

  it('is deleting it, also when that was done elsewhere', async () => {
    const item = await unusable();
    vi.mocked(deleteVideo).mockRejectedValue(new ApiError(404, 'CONTENT_NOT_FOUND', 'gone'));
    await discardUpload(item);
    expect(uploads.value).toEqual([]);
  });
});
