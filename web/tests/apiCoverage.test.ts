import { beforeAll, describe, expect, it, vi } from 'vitest';
import openapiText from '../public/openapi.json?raw';
import * as admin from '../src/api/admin';
import * as discovery from '../src/api/discovery';
import * as endpoints from '../src/api/endpoints';
import * as films from '../src/api/films';
import { refresher } from '../src/api/index';
import * as licences from '../src/api/licences';
import * as logins from '../src/api/logins';
import * as me from '../src/api/me';
import * as offline from '../src/api/offline';
import * as playSessions from '../src/api/playSessions';
import * as points from '../src/api/points';
import { REASONS } from './apiReasons';

const MODULES: Record<string, object> = {
  admin,
  discovery,
  endpoints,
  films,
  licences,
  logins,
  me,
  offline,
  playSessions,
  points,
};

/** What the modules export beside the calls of the API. */
const NO_CALLS = new Set([
  'addressOf',
  'afterLastWrite',
  'answer',
  'endReason',
  'highlightsCsvAddress',
  'id',
  'probeStream',
  'send',
  'subtitleTypeOf',
  'viewsCsvAddress',
]);

/** Arguments of calls for which the word `x` does not do, or that lead to several routes. */
const ARGUMENTS: Record<string, readonly unknown[][]> = {
  endPlaySession: [['x', 'x', { startup_ms: 1 }, { closing: false }]],
  getMoreOfRow: [['/api/home/rows/new']],
  putSubtitles: [['x', { language: 'ko', file: new File([], 'x.srt') }]],
  reprocessAll: [[['facts']]],
  setApproved: [
    ['x', true],
    ['x', false],
  ],
  setJobRunning: [
    ['x', true],
    ['x', false],
  ],
  setOnWatchlist: [
    ['x', true],
    ['x', false],
  ],
};

type Call = (...values: unknown[]) => unknown;

const calls = Object.entries(MODULES).flatMap(([module, exported]) =>
  Object.entries(exported)
    .filter(([name, value]) => typeof value === 'function' && !NO_CALLS.has(name))
    .map(([name, value]) => [module, name, value as Call] as const),
);

interface Sent {
  method: string;
  path: string;
}

const SOURCES = Object.entries(
  import.meta.glob<string>('../src/**/*.{ts,tsx}', { query: '?raw', import: 'default', eager: true }),
);

const sent = new Map<string, Sent[]>();

const openapi = JSON.parse(openapiText) as { paths: Record<string, Record<string, unknown>> };

const METHODS = new Set(['get', 'put', 'post', 'delete', 'patch']);

const routes = Object.entries(openapi.paths).flatMap(([path, operations]) =>
  Object.keys(operations)
    .filter((method) => METHODS.has(method))
    .map((method) => ({
      name: `${method.toUpperCase()} ${path}`,
      method: method.toUpperCase(),
      pattern: new RegExp(`^${path.replaceAll('.', '\\.').replaceAll(/\{\w+\}/g, '[^/]+')}$`),
      /** A path without a parameter wins over one with it: `/users/me` is no `/users/{id}`. */
      parameters: path.split('{').length,
    })),
);

const routeOf = ({ method, path }: Sent) =>
  routes
    .filter((route) => route.method === method && route.pattern.test(path))
    .sort((one, other) => one.parameters - other.parameters)[0];

beforeAll(async () => {
  for (const [module, name, call] of calls) {
    const requests: Sent[] = [];
    sent.set(`${module}.${name}`, requests);
    const record = (address: string, method = 'GET') =>
      requests.push({ method, path: address.split('?')[0] ?? '' }) > 0;
    vi.stubGlobal('fetch', async (address: string, init?: RequestInit) => {
      record(address, init?.method);
      return new Response('{"items": []}', { status: 200 });
    });
    vi.stubGlobal('navigator', { sendBeacon: (address: string) => record(address, 'POST') });
    vi.stubGlobal('addEventListener', () => undefined);
    vi.stubGlobal('removeEventListener', () => undefined);
    for (const values of ARGUMENTS[name] ?? [Array.from({ length: Math.max(call.length, 1) }, () => 'x')]) {
      await Promise.resolve(call(...values)).catch(() => undefined);
    }
    // `endPlaySession` ends what it began in its own time.
    await vi.waitUntil(() => requests.length >= (name === 'endPlaySession' ? 2 : 1), { timeout: 30_000 });
  }
  const requests: Sent[] = [];
  sent.set('refresher', requests);
  vi.stubGlobal('fetch', async (address: string, init?: RequestInit) => {
    requests.push({ method: init?.method ?? 'GET', path: address });
    return new Response('{}', { status: 200 });
  });
  await refresher.refresh(Date.now());
}, 120_000);

describe('what the site asks of the API', () => {
  it.each(calls.map(([module, name]) => [module, name]))('%s: %s is a route of it', (module, name) => {
    for (const request of sent.get(`${module}.${name}`) ?? []) {
      expect(routeOf(request), `${request.method} ${request.path}`).toBeDefined();
    }
  });

  it.each(calls.map(([module, name]) => [module, name]))('%s: %s is used by a page', (module, name) => {
    const word = new RegExp(`\\b${name}\\b`);
    const users = SOURCES.filter(([path, text]) => path !== `../src/api/${module}.ts` && word.test(text));
    expect(users.length).toBeGreaterThan(0);
  });
});

describe('the routes of the API', () => {
  const reached = () => new Set([...sent.values()].flat().flatMap((request) => routeOf(request)?.name ?? []));

  it.each(routes.map(({ name }) => name))('%s is reachable in the web, or has a reason why not', (name) => {
    expect(reached().has(name) || name in REASONS).toBe(true);
  });

  it.each(Object.keys(REASONS))('%s has a reason, exists and is not called', (name) => {
    expect(routes.map((route) => route.name)).toContain(name);
    expect(reached().has(name)).toBe(false);
    expect(REASONS[name]?.length).toBeGreaterThan(20);
  });
});
