import { describe, expect, it, vi } from 'vitest';
import { createExchangeKeys } from '../../src/lsv/exchange';
import { Loader } from '../../src/lsv/loader';
import { Downloader } from '../../src/lsv/offline/downloader';
import { bindingOf } from '../../src/lsv/offline/licences';
import { openStoredPack } from '../../src/lsv/offline/packFile';
import type { DownloadRequest, FromDownloader } from '../../src/lsv/offline/protocol';
import { makeSample } from '../../src/lsv/offline/samplePack';
import type { FromWorker, OpenRequest } from '../../src/lsv/protocol';
import { FakeFiles } from './offlineSupport';
import { flipped, hex } from './support';

const WAIT = { timeout: 30_000 };
const NAME = 'hana.film';

type Answer = (first: number, last: number, times: number, url: string) => Response | Promise<Response>;

async function setUp(disk = new FakeFiles()) {
  const keys = await createExchangeKeys();
  const sample = await makeSample(keys, 'AES-KW');
  const { pack, licence } = sample;
  const serve: Answer = (first, last) => {
    const body = pack.slice(first, last + 1);
    const headers = { 'Content-Range': `bytes ${first}-${first + body.length - 1}/${pack.length}` };
    return new Response(body, { status: 206, headers });
  };
  const request: DownloadRequest = {
    type: 'download',
    name: NAME,
    url: '/lsv?ticket=1',
    grant: licence,
    keys,
    binding: bindingOf(licence),
  };
  const start = (answer: Answer = serve, changed: Partial<DownloadRequest> = {}, estimate = {}) => {
    const posted: FromDownloader[] = [];
    let times = 0;
    const send = vi.fn(async (url: unknown, init?: RequestInit) => {
      const range = /bytes=(\d+)-(\d+)/.exec(new Headers(init?.headers).get('Range') ?? '');
      times += 1;
      init?.signal?.throwIfAborted();
      return answer(Number(range?.[1]), Number(range?.[2]), times, String(url));
    });
    const downloader = new Downloader(
      { ...request, ...changed },
      {
        post: (message) => posted.push(message),
        send: send as unknown as typeof fetch,
        files: disk.packs,
        estimate: async () => estimate,
        random: () => 1,
      },
    );
    const last = () => posted.at(-1);
    return { downloader, posted, send, last, done: downloader.run() };
  };
  return { ...sample, keys, disk, start, serve };
}

/** What is in the file after a download. */
async function storedBytes(disk: FakeFiles): Promise<string> {
  const reader = await disk.packs.read(NAME);
  return hex((await reader?.read(0, 1_000_000))?.bytes ?? new Uint8Array(0));
}

describe('download', () => {
  it('stores the pack as the ciphertext that it is, and says how far it is', async () => {
    const { start, disk, pack } = await setUp();
    const { done, posted, last } = start();
    await done;
    const total = { bytes: pack.length, totalBytes: pack.length };
    expect(last()).toEqual({ type: 'complete', progress: total });
    expect(posted.map(({ type }) => type)).toEqual(['progress', 'progress', 'complete']);
    expect(await storedBytes(disk)).toBe(hex(pack));
  });

  it('goes on after a crash with what is missing, and fetches nothing of what is there', async () => {
    const { start, disk, pack, serve } = await setUp();
    await start().done;
    const writer = await disk.packs.write(NAME);
    writer.begin(pack.subarray(0, 88 + 13 + 24 + 32), 3);
    writer.forget(2);
    disk.crash();
    const again = start(serve);
    await again.done;
    expect(again.last()?.type).toBe('complete');
    // The header, and one record.
    expect(again.send).toHaveBeenCalledTimes(2);
    expect(await storedBytes(disk)).toBe(hex(pack));
  });

  it('survives being ended at any request', async () => {
    const { start, disk, pack, serve } = await setUp();
    for (const killedAt of [1, 2]) {
      const attempt = start((first, last, times) =>
        times === killedAt ? new Promise<Response>(() => undefined) : serve(first, last, times, ''),
      );
      await vi.waitFor(() => expect(attempt.send).toHaveBeenCalledTimes(killedAt), WAIT);
      disk.crash();
    }
    const last = start();
    await last.done;
    expect(last.last()?.type).toBe('complete');
    expect(await storedBytes(disk)).toBe(hex(pack));
  });

  it('survives being killed at any change on the disk: nothing counts that is not authentic', async () => {
    const { start, disk, pack } = await setUp();
    for (let changes = 0; changes <= 8; changes += 1) {
      await disk.packs.remove(NAME);
      disk.changesLeft = changes;
      await start().done;
      disk.crash();
      const map = disk.files.get(`/lsv/${NAME}/map`)?.bytes ?? new Uint8Array(0);
      const stored = disk.files.get(`/lsv/${NAME}/pack`)?.bytes ?? new Uint8Array(0);
      // All records are written in one go here, so all that counts must be there.
      if (map.some((byte) => byte > 0)) expect(hex(stored)).toBe(hex(pack));
      const after = start();
      await after.done;
      expect(after.last()?.type).toBe('complete');
      expect(await storedBytes(disk)).toBe(hex(pack));
    }
  });

  it('stops when it is paused', async () => {
    const { start, disk, serve } = await setUp();
    const { downloader, send, done, last } = start((first, end, times) => {
      if (times === 1) return serve(first, end, times, '');
      downloader.stop();
      return Promise.reject(new DOMException('aborted', 'AbortError'));
    });
    await done;
    expect(send).toHaveBeenCalledTimes(2);
    expect(last()).toEqual({ type: 'stopped' });
    await expect(disk.packs.write(NAME)).resolves.toBeDefined();
  });

  it('fetches a damaged record again, past every cache, at most twice', async () => {
    const { start, disk, pack, serve } = await setUp();
    const damaged = (from: number): Answer => {
      return (first, last, times) => {
        if (times < from) return serve(first, last, times, '');
        const body = flipped(pack, 8 * (pack.length - 20)).slice(first, last + 1);
        return new Response(body, { status: 206 });
      };
    };
    const once = start((first, last, times, url) =>
      (times === 2 ? damaged(2) : serve)(first, last, times, url),
    );
    await once.done;
    expect(once.last()?.type).toBe('complete');
    expect(once.send.mock.calls.map(([, init]) => init?.cache)).toEqual(['default', 'default', 'reload']);
    await disk.packs.remove(NAME);
    const lasting = start(damaged(2));
    await lasting.done;
    expect(lasting.last()).toEqual({ type: 'failed', failure: { kind: 'damaged' } });
    expect(lasting.send).toHaveBeenCalledTimes(4);
    // Nothing damaged counts.
    const writer = await disk.packs.write(NAME);
    writer.begin(pack.subarray(0, 88 + 13 + 24 + 32), 3);
    expect([...writer.present]).toEqual([0, 0, 0]);
  });

  it('goes on with a fresh ticket', async () => {
    const { start, serve } = await setUp();
    const { downloader, done, posted, last } = start((first, end, times, url) =>
      url.endsWith('=1') && times > 1 ? new Response('', { status: 401 }) : serve(first, end, times, url),
    );
    await vi.waitFor(() => expect(posted.some(({ type }) => type === 'ticket')).toBe(true), WAIT);
    downloader.renewed('/lsv?ticket=2');
    await done;
    expect(last()?.type).toBe('complete');
  });

  it('waits for a network that is away, and goes on at once when it is back', async () => {
    const { start, serve } = await setUp();
    let isAway = true;
    const { downloader, done, posted, last } = start((first, end, times, url) => {
      if (times > 1 && isAway) return new Response('', { status: 503, headers: { 'Retry-After': '3600' } });
      return serve(first, end, times, url);
    });
    await vi.waitFor(() => expect(posted.at(-1)).toMatchObject({ isWaiting: true }), WAIT);
    isAway = false;
    downloader.hurry();
    await done;
    expect(last()?.type).toBe('complete');
  });

  it('begins anew where the film was packed anew', async () => {
    const { start, disk } = await setUp();
    await start().done;
    const other = await setUp(disk);
    const again = other.start();
    await again.done;
    expect(again.last()?.type).toBe('complete');
    expect(await storedBytes(disk)).toBe(hex(other.pack));
  });

  it('refuses a key that is for another use, for another device, or for another moment', async () => {
    const { start, licence, keys } = await setUp();
    const binding = bindingOf(licence);
    const online = {
      scope: 'ONLINE_STREAM_ONLY' as const,
      sessionId: licence.id,
      videoId: licence.video_id,
    };
    for (const [changed, fault] of [
      [{ binding: online }, 'wrong-scope'],
      [{ grant: { ...licence, scope: 'ONLINE_STREAM_ONLY' } }, 'wrong-scope'],
      [{ binding: { ...binding, deviceId: licence.id } }, 'key-changed'],
      [{ binding: { ...binding, expiresAt: 4_000_000_000 } }, 'key-changed'],
      [{ keys: await createExchangeKeys() }, 'key-changed'],
      [{ grant: { ...licence, content_version: 7 } }, 'wrong-content'],
    ] as const) {
      const { done, last } = start(undefined, { keys, ...changed } as Partial<DownloadRequest>);
      await done;
      expect(last()).toEqual({ type: 'failed', failure: { kind: 'key', fault } });
    }
  });

  it('says when there is no room, before and while it writes', async () => {
    const { start, disk, pack } = await setUp();
    const small = start(undefined, {}, { quota: 1000, usage: 0 });
    await small.done;
    expect(small.last()).toMatchObject({ type: 'failed', failure: { kind: 'room' } });
    disk.roomBytes = pack.length - 1000;
    const full = start();
    await full.done;
    expect(full.last()).toEqual({ type: 'failed', failure: { kind: 'full' } });
  });

  it('is done by one tab at a time', async () => {
    const { start, disk } = await setUp();
    await disk.packs.write(NAME);
    const { done, last } = start();
    await done;
    expect(last()).toEqual({ type: 'failed', failure: { kind: 'elsewhere' } });
  });
});

describe('player with a downloaded film', () => {
  async function play(changed: (open: OpenRequest) => Partial<OpenRequest> = () => ({})) {
    const parts = await setUp();
    await parts.start().done;
    const posted: FromWorker[] = [];
    const send = vi.fn();
    const loader = new Loader(
      (message) => posted.push(message),
      send as unknown as typeof fetch,
      (name) => openStoredPack(parts.disk.packs, name),
    );
    const open: OpenRequest = {
      type: 'open',
      generation: 1,
      url: '',
      isRetry: false,
      grant: parts.licence,
      keys: parts.keys,
      binding: bindingOf(parts.licence),
      stored: NAME,
    };
    const settled = (type: FromWorker['type']) =>
      vi.waitFor(() => {
        const found = posted.find((message) => message.type === type);
        if (!found) throw new Error(`no ${type}`);
        return found;
      }, WAIT);
    loader.handle({ ...open, ...changed(open) });
    return { ...parts, loader, send, settled };
  }

  it('decrypts what is stored, and asks no server', async () => {
    const { loader, plaintexts, send, settled } = await play();
    const opened = await settled('opened');
    expect(opened.type === 'opened' && hex(opened.init)).toBe(hex(plaintexts[0] as Uint8Array));
    loader.handle({ type: 'chunk', generation: 1, record: 2, url: '', isRetry: true });
    const chunk = await settled('chunk');
    expect(chunk.type === 'chunk' && hex(chunk.data)).toBe(hex(plaintexts[2] as Uint8Array));
    expect(send).not.toHaveBeenCalled();
  });

  it('refuses an online key for it, and its licence for anything else', async () => {
    const online = {
      binding: { scope: 'ONLINE_STREAM_ONLY' as const, sessionId: crypto.randomUUID(), videoId: '' },
    };
    for (const changed of [online, { stored: null }]) {
      const { send, settled } = await play(() => changed);
      expect(await settled('refused')).toMatchObject({ fault: 'wrong-scope' });
      expect(send).not.toHaveBeenCalled();
    }
    const answer = await play(({ grant }) => ({ grant: { ...grant, scope: 'ONLINE_STREAM_ONLY' } }));
    expect(await answer.settled('refused')).toMatchObject({ fault: 'wrong-scope' });
  });

  it('reports what is damaged or missing on the disk, and has it fetched again later', async () => {
    const { loader, disk, settled, start, pack } = await play();
    await settled('opened');
    const file = disk.files.get(`/lsv/${NAME}/pack`);
    if (file) file.bytes = flipped(file.bytes, 8 * (pack.length - 20));
    loader.handle({ type: 'chunk', generation: 1, record: 2, url: '', isRetry: true });
    expect(await settled('failed')).toMatchObject({ record: 2, failure: { kind: 'damaged' } });
    const repair = start();
    await repair.done;
    expect(repair.send).toHaveBeenCalledTimes(2);
    expect(await storedBytes(disk)).toBe(hex(pack));

    const removed = await play(() => ({ stored: 'other' }));
    expect(await removed.settled('failed')).toMatchObject({ record: 0, failure: { kind: 'damaged' } });
  });
});
