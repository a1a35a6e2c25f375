import { beforeEach, describe, expect, it, vi } from 'vitest';
import { LicenceStore, type StoredFilm } from '../../src/lsv/offline/licences';
import { statusText } from '../../src/lsv/offline/statusText';
import { tabsOfBrowser } from '../../src/lsv/offline/tabs';
import { forgetAccount, tidy } from '../../src/lsv/offline/tidy';
import { ViewerDownloads } from '../../src/lsv/offline/viewerDownloads';
import { ASKED, downloaded, stateOf, until, World } from './downloadsSupport';

beforeEach(() => {
  vi.stubGlobal('addEventListener', vi.fn());
});

const HOUR_MS = 3_600_000;
const activityOf = (downloads: Awaited<ReturnType<World['open']>>) => downloads.activities.value.get(ASKED);

/** A download that waits for the network. */
async function begun(world: World) {
  const downloads = await world.open();
  world.isCut = true;
  await downloads.start(world.video);
  await until(() => activityOf(downloads)?.phase === 'loading');
  return downloads;
}

describe('downloads of another viewer', () => {
  it('stop, are not shown, and go on when their viewer is back', async () => {
    const world = new World();
    const downloads = await begun(world);
    downloads.close();
    expect(downloads.films.value).toEqual([]);
    expect(downloads.activities.value.size).toBe(0);
    await until(() => world.ended === 1);
    world.isCut = false;
    const other = await world.open('minjun');
    await other.goOn();
    expect(other.films.value).toEqual([]);
    const back = await world.open();
    expect(stateOf(back)).toBe('unfinished');
    await back.goOn();
    await until(() => stateOf(back) === 'complete');
  });

  it('are neither continued nor begun with the cookies of the one who logged in elsewhere', async () => {
    const world = new World();
    await begun(world);
    world.crash();
    world.isCut = false;
    world.loggedIn = 'minjun';
    const downloads = await world.open();
    await downloads.goOn();
    expect(downloads.activities.value.size).toBe(0);
    await downloads.resume(ASKED);
    expect(activityOf(downloads)).toEqual({ phase: 'failed', why: { kind: 'otherViewer' } });
    await expect(downloads.renew(ASKED)).rejects.toThrow();
    await downloads.start({ ...world.video, id: 'another' });
    expect(world.requests).toHaveLength(1);
    expect(stateOf(await world.open())).toBe('unfinished');
  });

  it('that get ready are not begun', async () => {
    const world = new World();
    world.deps.listSubtitles = async () => {
      downloads.close();
      return [];
    };
    const downloads = await world.open();
    await downloads.start(world.video);
    expect(world.disk.get('films')?.size).toBe(0);
    expect(world.files.files.size).toBe(0);
  });

  it('end before those of the next are there', () => {
    const closed: string[] = [];
    const own = new ViewerDownloads((userId) => ({ userId, close: () => closed.push(userId) }));
    const first = own.of('hana');
    expect(own.of('hana')).toBe(first);
    expect(own.of('minjun')?.userId).toBe('minjun');
    expect(closed).toEqual(['hana']);
    own.follow(null);
    expect(closed).toEqual(['hana', 'minjun']);
    expect(own.of(null)).toBeNull();
  });

  it('end when another tab says who is here; that viewer’s come once the site knows', () => {
    const closed: string[] = [];
    const create = vi.fn((userId: string) => ({ userId, close: () => closed.push(userId) }));
    const own = new ViewerDownloads(create);
    const first = own.of('hana');
    expect(own.hear('hana')).toBe(false);
    expect(own.hear('minjun')).toBe(true);
    expect(closed).toEqual(['hana']);
    // This tab still shows the page of the one before.
    expect(own.of('hana')).toBe(first);
    own.follow('hana');
    // It goes on by itself.
    expect(create).toHaveBeenCalledTimes(2);
    expect(own.of('hana')).not.toBe(first);
    expect(closed).toEqual(['hana']);
  });
});

describe('downloads in two tabs', () => {
  it('are worked on by one of them', async () => {
    const world = new World();
    const one = await begun(world);
    const other = await world.open();
    await other.goOn();
    expect(activityOf(other)).toEqual({ phase: 'failed', why: { kind: 'elsewhere' } });
    world.isCut = false;
    one.close();
    await until(() => world.ended === 1);
    await other.resume(ASKED);
    await until(() => stateOf(other) === 'complete');
  });

  it('do not overwrite each other’s rows', async () => {
    const world = new World();
    await downloaded(world, await world.open());
    const [film] = (await world.open()).films.value ?? [];
    for (const press of ['resume', 'pause'] as const) {
      const stale = await world.open();
      // What it knows is from before the end, as in a tab that has not heard of it yet.
      stale.films.value = [
        { ...(film as StoredFilm), state: 'unfinished', progress: { bytes: 1, totalBytes: 9 } },
      ];
      await stale[press](ASKED);
      expect(stale.films.value).toEqual([film]);
      expect((await world.open()).films.value).toEqual([film]);
    }
  });

  it('keep both changes of two tabs at once', async () => {
    const world = new World();
    await downloaded(world, await world.open());
    const store = new LicenceStore(world.database);
    await Promise.all([
      store.update('hana', ASKED, () => ({ progress: { bytes: 7, totalBytes: 9 } })),
      store.update('hana', ASKED, () => ({ state: 'paused' })),
    ]);
    expect(await store.find('hana', ASKED)).toMatchObject({ state: 'paused', progress: { bytes: 7 } });
  });

  it('stop in one when they are paused in the other, and stay deleted', async () => {
    const world = new World();
    const one = await begun(world);
    const other = await world.open();
    await other.pause(ASKED);
    await until(() => one.activities.value.size === 0);
    expect(stateOf(one)).toBe('paused');
    await other.remove(ASKED);
    await until(() => one.films.value?.length === 0);
    await one.resume(ASKED);
    expect(world.disk.get('films')?.size).toBe(0);
  });

  it('keep the licence that ends later', async () => {
    const world = new World();
    const one = await world.open();
    await downloaded(world, one);
    const [{ licence }] = one.films.value as [StoredFilm];
    const inHours = (hours: number) => ({
      ...licence,
      expires_at: new Date(Date.now() + hours * HOUR_MS).toISOString(),
    });
    for (const [mine, others] of [
      [50, 100],
      [200, 150],
    ] as const) {
      world.deps.renewLicence = async () => {
        // While this tab waits for the server, the other one has got its answer.
        await new LicenceStore(world.database).update('hana', ASKED, () => ({ licence: inHours(others) }));
        return { licence: inHours(mine), headers: new Headers() };
      };
      const until = await (await world.open()).renew(ASKED);
      const hours = (Date.parse(until ?? '') - Date.now()) / HOUR_MS;
      expect(Math.round(hours)).toBe(Math.max(mine, others));
    }
  });
});

describe('download whose worker', () => {
  it.each(['crash', 'send what can’t be read'] as const)('does %s', async (workers) => {
    const world = new World();
    world.workers = workers;
    const downloads = await world.open();
    await downloads.start(world.video);
    await until(() => activityOf(downloads)?.phase === 'failed');
    expect(activityOf(downloads)).toEqual({ phase: 'failed', why: { kind: 'worker' } });
    expect(statusText(null, activityOf(downloads) ?? null)).toContain('Try again');
    expect(world.ended).toBe(1);
    world.workers = 'run';
    await downloads.resume(ASKED);
    await until(() => stateOf(downloads) === 'complete');
  });

  it('can’t be made', async () => {
    const world = new World();
    const downloads = await begun(world);
    await downloads.pause(ASKED);
    await until(() => downloads.activities.value.size === 0);
    const { createWorker } = world.deps;
    world.deps.createWorker = () => {
      throw new DOMException('blocked', 'SecurityError');
    };
    const again = await world.open();
    await again.resume(ASKED);
    expect(activityOf(again)?.phase).toBe('failed');
    world.deps.createWorker = createWorker;
    world.isCut = false;
    const after = await world.open();
    await after.resume(ASKED);
    await until(() => stateOf(after) === 'complete');
  });
});

describe('room of downloads', () => {
  it('is given back where there is no row, and where a viewer left long ago', async () => {
    const world = new World();
    const downloads = await world.open();
    await downloaded(world, downloads);
    const film = downloads.films.value?.[0] as StoredFilm;
    const put = async (userId: string, videoId: string, expires_at: string | null) => {
      const writer = await world.files.packs.write(`${userId}.${videoId}`);
      writer.close();
      await world.database.put('extras', `${userId}.${videoId}`, { bodies: {} });
      if (expires_at === null) return;
      const licence = { ...film.licence, expires_at };
      await new LicenceStore(world.database).put({
        ...film,
        userId,
        video: { ...film.video, id: videoId },
        licence,
      });
    };
    await put('hana', 'orphan', null);
    await put('hana', 'ended', '2020-01-01T00:00:00Z');
    await put('minjun', 'valid', new Date(Date.now() + HOUR_MS).toISOString());
    await put('minjun', 'just-ended', new Date(Date.now() - HOUR_MS).toISOString());
    await put('gone', 'ended', '2020-01-01T00:00:00Z');
    await put('hana', 'held', null);
    const tabs = world.tab();
    await tabs.hold('hana.held');
    await tidy({ database: world.database, packs: world.files.packs, tabs }, 'hana');
    const kept = [`hana.${ASKED}`, 'hana.ended', 'hana.held', 'minjun.just-ended', 'minjun.valid'];
    expect((await world.files.packs.names()).sort()).toEqual([...kept].sort());
    expect((await world.database.keys('extras')).sort()).toEqual([...kept].sort());
    expect((await world.database.keys('films')).includes('gone.ended')).toBe(false);
  });

  it('is given back when the account is deleted', async () => {
    const world = new World();
    await downloaded(world, await world.open());
    await world.database.put('positions', `hana.${ASKED}`, {});
    await forgetAccount({ database: world.database, packs: world.files.packs, tabs: world.tab() }, 'hana');
    expect(world.files.files.size).toBe(0);
    for (const store of ['films', 'extras', 'positions']) expect(world.disk.get(store)?.size).toBe(0);
  });
});

describe('site’s own files', () => {
  it('are kept also when a download goes on', async () => {
    const world = new World();
    await begun(world);
    world.crash();
    const before = world.keeps;
    await (await world.open()).goOn();
    expect(world.keeps).toBe(before + 1);
  });
});

describe('locks of the browser', () => {
  const locks = () => {
    const held = new Map<string, Promise<unknown>>();
    return {
      request: async (
        name: string,
        options: LockOptions,
        task: (lock: object | null) => Promise<unknown>,
      ) => {
        const before = held.get(name);
        if (before && options.ifAvailable) return task(null);
        if (before && options.signal) {
          const aborted = new Promise((_, reject) => {
            options.signal?.addEventListener('abort', () => reject(options.signal?.reason));
          });
          await Promise.race([before, aborted]);
        }
        const done = task({}).finally(() => held.delete(name));
        held.set(name, done);
        return done;
      },
    } as unknown as LockManager;
  };

  it('are had by one tab, until it gives them free', async () => {
    const tabs = tabsOfBrowser(locks());
    const free = await tabs.hold('hana.v');
    expect(free).not.toBeNull();
    expect(await tabs.hold('hana.v')).toBeNull();
    expect(await tabs.hold('hana.v', 1)).toBeNull();
    const waiting = tabs.hold('hana.v', 60_000);
    free?.();
    expect(await waiting).not.toBeNull();
  });

  it('are left to the file where the browser has none', async () => {
    const tabs = tabsOfBrowser(null);
    expect(await tabs.hold('hana.v')).not.toBeNull();
  });
});
