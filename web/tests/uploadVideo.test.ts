import { afterEach, describe, expect, it, vi } from 'vitest';
import { ApiError, NetworkError } from '../src/api/errors';
import { mayPass, uploadError, uploadVideo } from '../src/api/upload';
import { addFiles, pause, retry, startDrafts, uploads } from '../src/upload/queue';

vi.stubGlobal('document', new EventTarget());
vi.stubGlobal('navigator', { onLine: true });
vi.mock('../src/api', () => ({
  refresher: { ensureFresh: async () => undefined },
  sessionLost: { value: false },
}));

interface Options {
  onSuccess: (payload: unknown) => void;
  onError: (error: Error) => void;
  onAfterResponse: (request: unknown, response: unknown) => void;
  onProgress: (sent: number) => void;
  metadata: Record<string, string>;
}

const library = vi.hoisted(() => ({
  made: [] as { options: Options; calls: string[] }[],
  previous: [] as unknown[],
}));

vi.mock('tus-js-client', () => ({
  Upload: class {
    calls: string[] = [];
    constructor(
      readonly file: File,
      readonly options: Options,
    ) {
      library.made.push(this);
    }
    findPreviousUploads = async () => library.previous;
    resumeFromPreviousUpload = () => void this.calls.push('resume');
    start = () => void this.calls.push('start');
    abort = async (forgets: boolean) => void this.calls.push(forgets ? 'forget' : 'stop');
  },
}));

afterEach(() => {
  library.made = [];
  library.previous = [];
  uploads.value = [];
});

const response = (status: number, headers: Record<string, string> = {}, body = '') => ({
  getStatus: () => status,
  getHeader: (name: string) => headers[name],
  getBody: () => body,
});

const file = new File(['film'], '밤 기차.mp4', { type: 'video/mp4' });

async function started(count = 1) {
  await vi.waitFor(() => expect(library.made[count - 1]?.calls).toContain('start'));
  const made = library.made[count - 1];
  if (!made) throw new Error('nothing was started');
  return made;
}

describe('uploadVideo', () => {
  it('resolves with the video, and with the one that has the same bytes', async () => {
    const { result } = uploadVideo(
      { title: 'Train', description: '', isProtected: false, file },
      () => undefined,
    );
    const { options } = await started();
    expect(options.metadata).toMatchObject({
      filename: '밤 기차.mp4',
      title: 'Train',
      filetype: 'video/mp4',
    });
    const headers = { 'Marquee-Video-Id': 'v2', 'Marquee-Duplicate-Of': 'v1' };
    options.onSuccess({ lastResponse: response(204, headers) });
    await expect(result).resolves.toEqual({ id: 'v2', duplicateOf: 'v1' });
  });

  it.each([true, false])('asks for protection only where the viewer wants it: %s', async (isProtected) => {
    uploadVideo({ title: '', description: '', isProtected, file }, () => undefined);
    const { options } = await started();
    expect(options.metadata.protection).toBe(isProtected ? 'lsv' : undefined);
  });

  it('goes on with an upload of before', async () => {
    library.previous = [{ uploadUrl: '/api/uploads/1' }];
    uploadVideo({ title: '', description: '', isProtected: false, file }, () => undefined);
    expect((await started()).calls).toEqual(['resume', 'start']);
  });

  it.each([401, 429, 503])('does not begin anew when the offset can not be had: %i', async (status) => {
    uploadVideo({ title: '', description: '', isProtected: false, file }, () => undefined);
    const { options } = await started();
    const head = { getMethod: () => 'HEAD' };
    expect(() => options.onAfterResponse(head, response(status))).toThrow(ApiError);
    expect(() => options.onAfterResponse(head, response(404))).not.toThrow();
    expect(() => options.onAfterResponse({ getMethod: () => 'PATCH' }, response(status))).not.toThrow();
  });

  it('gives up what the server refuses as a duplicate', async () => {
    const { result } = uploadVideo({ title: '', description: '', isProtected: false, file }, () => undefined);
    const made = await started();
    const body = JSON.stringify({
      error: { code: 'UPLOAD_CONFLICT', message: 'no', details: { video_id: 'v1' } },
    });
    const error = Object.assign(new Error(), {
      originalRequest: {},
      originalResponse: response(409, {}, body),
    });
    made.options.onError(error);
    await expect(result).rejects.toMatchObject({ code: 'UPLOAD_CONFLICT', details: { video_id: 'v1' } });
    expect(made.calls).toEqual(['start', 'forget']);
  });

  it('reads errors of the library as those of other requests', () => {
    const cut = Object.assign(new Error(), { originalRequest: {}, originalResponse: null });
    expect(uploadError(cut)).toBeInstanceOf(NetworkError);
    const full = Object.assign(new Error(), { originalRequest: {}, originalResponse: response(507) });
    expect(uploadError(full)).toMatchObject({ status: 507 });
  });
});

describe('mayPass', () => {
  it.each([404, 408, 409, 410, 423, 429, 460, 500, 503])('tries again after %i', (status) => {
    expect(mayPass(new ApiError(status, '', ''))).toBe(true);
  });
  it.each([400, 401, 403, 413, 422, 507])('gives up after %i', (status) => {
    expect(mayPass(new ApiError(status, '', ''))).toBe(false);
  });
  it('tries again when the line is cut, but not for bytes that are there already', () => {
    expect(mayPass(new NetworkError())).toBe(true);
    expect(mayPass(new ApiError(409, 'UPLOAD_CONFLICT', '', { video_id: 'v1' }))).toBe(false);
    expect(mayPass(new ApiError(409, 'UPLOAD_CONFLICT', '', { offset: 5 }))).toBe(true);
  });
});

describe('a paused upload', () => {
  it('lets the next one begin, and goes on when asked to', async () => {
    addFiles([file, new File(['other'], 'b.mp4', { type: 'video/mp4' })]);
    startDrafts();
    const [item] = uploads.value;
    if (!item) throw new Error('nothing was added');
    const first = await started(1);
    first.options.onProgress(2);
    pause(item);
    expect(item.state.value).toEqual({ phase: 'paused', sent: 2 });
    expect(first.calls).toEqual(['start', 'stop']);
    const second = await started(2);
    second.options.onSuccess({ lastResponse: response(204, { 'Marquee-Video-Id': 'v2' }) });
    retry(item);
    const again = await started(3);
    again.options.onSuccess({ lastResponse: response(204, { 'Marquee-Video-Id': 'v1' }) });
    await vi.waitFor(() => expect(item.state.value).toEqual({ phase: 'processing', videoId: 'v1' }));
  });
});
