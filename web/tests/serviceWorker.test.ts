import { describe, expect, it, vi } from 'vitest';
import CODE from '../public/service-worker.js?raw';

const ORIGIN = 'http://site.test';

interface Answer {
  respondWith: (response: Promise<Response>) => void;
  waitUntil: (task: Promise<unknown>) => void;
  request?: unknown;
}

/** Runs the service worker with a server whose files may change, and a cache that stays. */
function start(files: Map<string, string>) {
  const cached = new Map<string, string>();
  const pathOf = (key: string) => new URL(key, ORIGIN).pathname;
  const answer = (text: string | undefined) =>
    new Response(text ?? '', { status: text === undefined ? 404 : 200 });
  const server = { isAway: false, hangs: false };
  const get = vi.fn(async (target: string | { url: string }) => {
    if (server.hangs) await new Promise(() => undefined);
    if (server.isAway) throw new TypeError('failed to fetch');
    return answer(files.get(pathOf(typeof target === 'string' ? target : target.url)));
  });
  const cache = {
    keys: async () => [...cached.keys()].map((path) => ({ url: ORIGIN + path })),
    match: async (key: string) => (cached.has(pathOf(key)) ? answer(cached.get(pathOf(key))) : undefined),
    put: async (key: string, response: Response) => cached.set(pathOf(key), await response.text()),
    delete: async (key: string) => cached.delete(pathOf(key)),
    addAll: async (paths: string[]) => {
      for (const path of paths) {
        if (!files.has(path)) throw new TypeError('not there');
        cached.set(path, files.get(path) ?? '');
      }
    },
  };
  const listeners = new Map<string, (event: Answer) => void>();
  const self = {
    addEventListener: (type: string, listener: (event: Answer) => void) => listeners.set(type, listener),
    skipWaiting: () => undefined,
    clients: { claim: async () => undefined },
  };
  new Function('self', 'caches', 'fetch', 'location', CODE)(
    self,
    { open: async () => cache },
    get,
    new URL(ORIGIN),
  );
  /** Sends an event, and returns the answer, if there is one, when all of its work is done. */
  const send = async (type: string, request?: unknown): Promise<string | null> => {
    const tasks: Promise<unknown>[] = [];
    let response: Promise<Response> | null = null;
    listeners.get(type)?.({
      request,
      waitUntil: (task) => tasks.push(task),
      respondWith: (given) => {
        response = given;
      },
    });
    const given = await (response as Promise<Response> | null);
    await Promise.all(tasks);
    return given ? given.text() : null;
  };
  const ask = (path: string, { mode = 'cors', method = 'GET', headers = {} } = {}) =>
    send('fetch', { url: ORIGIN + path, mode, method, headers: new Headers(headers) });
  return { cached, server, get, send, ask };
}

const version = (name: string) =>
  new Map([
    ['/', `<script src="/assets/index-${name}.js"></script>`],
    ['/watch/1', 'a page'],
    [`/assets/index-${name}.js`, `index ${name}`],
    [`/assets/loader-${name}.js`, `loader ${name}`],
    ['/app-files.json', JSON.stringify([`/assets/index-${name}.js`, `/assets/loader-${name}.js`])],
  ]);

describe('service worker', () => {
  it('opens pages without a network', async () => {
    const files = version('a');
    const { server, send, ask } = start(files);
    await send('install');
    server.isAway = true;
    expect(await ask('/watch/1', { mode: 'navigate' })).toContain('index-a.js');
    expect(await ask('/assets/loader-a.js')).toBe('loader a');
  });

  it('opens pages while the network hangs, and waits for what is not kept', async () => {
    const { server, cached, send, ask } = start(version('a'));
    await send('install');
    server.hangs = true;
    vi.useFakeTimers();
    try {
      const page = ask('/watch/1', { mode: 'navigate' });
      await vi.advanceTimersByTimeAsync(6_000);
      expect(await page).toContain('index-a.js');
      cached.clear();
      const nothing = vi.fn();
      void ask('/watch/1', { mode: 'navigate' }).then(nothing, nothing);
      await vi.advanceTimersByTimeAsync(60_000);
      expect(nothing).not.toHaveBeenCalled();
    } finally {
      vi.useRealTimers();
    }
  });

  it('leaves the API, parts of files and writes alone', async () => {
    const { send, ask, get } = start(version('a'));
    await send('install');
    get.mockClear();
    expect(await ask('/api/videos/1')).toBeNull();
    expect(await ask('/api/videos/1/lsv', { mode: 'navigate' })).toBeNull();
    expect(await ask('/assets/index-a.js', { headers: { Range: 'bytes=0-1' } })).toBeNull();
    expect(await ask('/login', { method: 'POST', mode: 'navigate' })).toBeNull();
    expect(await ask('/docs/', { mode: 'navigate' })).toBeNull();
    expect(get).not.toHaveBeenCalled();
  });

  it('asks the server for pages as long as it answers', async () => {
    const { send, ask } = start(version('a'));
    await send('install');
    expect(await ask('/watch/1', { mode: 'navigate' })).toBe('a page');
  });

  it('keeps a newer version as a whole, and no older one', async () => {
    const files = version('a');
    const { cached, send, ask } = start(files);
    await send('install');
    files.clear();
    for (const [path, text] of version('b')) files.set(path, text);
    vi.useFakeTimers({ now: Date.now() + 3_600_000, toFake: ['Date'] });
    await ask('/watch/1', { mode: 'navigate' });
    vi.useRealTimers();
    expect([...cached.keys()].sort()).toEqual(['/', '/assets/index-b.js', '/assets/loader-b.js']);
    expect(cached.get('/')).toContain('index-b.js');
  });

  it('keeps what it has while the server is between two versions', async () => {
    const files = version('a');
    const { cached, send, ask } = start(files);
    await send('install');
    files.set('/', '<script src="/assets/index-b.js"></script>');
    vi.useFakeTimers({ now: Date.now() + 3_600_000, toFake: ['Date'] });
    await ask('/watch/1', { mode: 'navigate' });
    vi.useRealTimers();
    expect(cached.get('/')).toContain('index-a.js');
    expect(cached.has('/assets/loader-a.js')).toBe(true);
  });
});
