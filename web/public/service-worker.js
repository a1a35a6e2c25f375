// Keeps the site's own files, so that its pages open without a network. Registered by the first download of a film.
// It never touches the API, nor requests for parts of files: films come from the browser's own store.
const CACHE = 'marquee-app';
const LIST = '/app-files.json';
const SHELL = '/';
const CHECK_EVERY_MS = 60_000;
/** A network that answers nothing for so long counts as none, where there is something kept to show instead. */
const PATIENCE_MS = 5_000;
const KEEP_TIMEOUT_MS = 60_000;

let checkedAt = 0;

self.addEventListener('install', (event) => {
  self.skipWaiting();
  event.waitUntil(keep());
});

self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()));

self.addEventListener('fetch', (event) => {
  const { request } = event;
  const { origin, pathname } = new URL(request.url);
  if (request.method !== 'GET' || request.headers.has('Range') || origin !== location.origin) return;
  if (/^\/(api\/|docs\b|openapi\.json|metrics|healthz|readyz)/.test(pathname)) return;
  if (request.mode === 'navigate') event.respondWith(page(event));
  else if (pathname.startsWith('/assets/')) event.respondWith(asset(request));
  else if (pathname === '/favicon.svg') event.respondWith(inTime(request, request).catch(() => kept(request)));
});

/** The server's page if it answers; it may be that of a newer version, which is kept then. */
async function page(event) {
  try {
    const response = await inTime(event.request, SHELL);
    if (response.ok && Date.now() - checkedAt > CHECK_EVERY_MS) event.waitUntil(keep().catch(() => undefined));
    // A gateway without a site behind it answers, too.
    return response.status < 500 ? response : ((await find(SHELL)) ?? response);
  } catch {
    return kept(SHELL);
  }
}

/** Returns the server's answer; rejects if it does not come in time, and something is kept under `key`. */
async function inTime(request, key) {
  const answer = fetch(request);
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(async () => {
      if (await find(key)) reject(new Error('the server does not answer'));
    }, PATIENCE_MS);
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** The names have a hash of the content: what is kept is right for ever. */
async function asset(request) {
  return (await find(request.url)) ?? fetch(request);
}

async function find(key) {
  return (await caches.open(CACHE)).match(key, { ignoreVary: true });
}

async function kept(key) {
  return (await find(key)) ?? Response.error();
}

/** Keeps all files of the version that the server has now, and only then the page that names them. */
async function keep() {
  const options = { cache: 'no-store', signal: AbortSignal.timeout(KEEP_TIMEOUT_MS) };
  const [list, shell] = await Promise.all([fetch(LIST, options), fetch(SHELL, options)]);
  if (!list.ok || !shell.ok) throw new Error('the site is not there');
  const files = await list.json();
  const named = (await shell.clone().text()).match(/\/assets\/[^"']+/g) ?? [];
  // Between two versions, as while a server is upgraded.
  if (named.some((file) => !files.includes(file))) throw new Error('the page is of another version than its files');
  const cache = await caches.open(CACHE);
  const known = new Set((await cache.keys()).map(({ url }) => new URL(url).pathname));
  await cache.addAll(files.filter((file) => !known.has(file)));
  await cache.put(SHELL, shell);
  for (const file of known) {
    if (file !== SHELL && !files.includes(file)) await cache.delete(file);
  }
  checkedAt = Date.now();
}
