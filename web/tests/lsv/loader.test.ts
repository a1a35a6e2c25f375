import { describe, expect, it, vi } from 'vitest';
import vectors from '../../../libs/lsv/tests/vectors/licences-v1.json';
import { type Bytes, concat, toBase64Url } from '../../src/lsv/bytes';
import { createExchangeKeys, type ExchangeKeys } from '../../src/lsv/exchange';
import { Loader } from '../../src/lsv/loader';
import type { FromWorker } from '../../src/lsv/protocol';
import { bytes, flipped, hex, PACK } from './support';

const raw = bytes(PACK.pack);
/** Bounds failure only: a busy machine takes long for its first keys. */
const WAIT = { timeout: 30_000 };
const BINDING = {
  scope: 'ONLINE_STREAM_ONLY',
  sessionId: vectors.session_id,
  videoId: PACK.content_id,
} as const;

/** Wraps the vector's content key as the server does, by the numbers of docs/reference/lsv-licences.md. */
async function wrap({ publicKey }: ExchangeKeys, scope = 2) {
  const curve = { name: 'ECDH', namedCurve: 'P-256' };
  const pair = await crypto.subtle.generateKey(curve, true, ['deriveBits']);
  const point = new Uint8Array(await crypto.subtle.exportKey('raw', pair.publicKey));
  const client = await crypto.subtle.importKey('raw', publicKey, curve, false, []);
  const secret = await crypto.subtle.deriveBits({ name: 'ECDH', public: client }, pair.privateKey, 256);
  const prefix = concat(Uint8Array.of(1, 1, 1, scope), bytes(PACK.content_key_id));
  const label = new TextEncoder().encode('LSV_ONLINE_V1');
  const info = concat(label, prefix, bytes(BINDING.sessionId), bytes(BINDING.videoId));
  const hkdf = { name: 'HKDF', hash: 'SHA-256', salt: concat(publicKey, point), info };
  const material = await crypto.subtle.importKey('raw', secret, 'HKDF', false, ['deriveKey']);
  const kek = await crypto.subtle.deriveKey(hkdf, material, { name: 'AES-KW', length: 256 }, false, [
    'wrapKey',
  ]);
  const content = await crypto.subtle.importKey('raw', bytes(PACK.content_key), 'AES-GCM', true, ['encrypt']);
  const payload = new Uint8Array(await crypto.subtle.wrapKey('raw', content, kek, 'AES-KW'));
  return {
    scope: BINDING.scope,
    server_public_key: toBase64Url(point),
    wrapped_key: toBase64Url(concat(prefix, payload)),
    content_version: PACK.content_version,
  };
}

async function setUp(answer: (range: [number, number], init: RequestInit) => Response | Promise<Response>) {
  const posted: FromWorker[] = [];
  const send = vi.fn(async (_: unknown, init?: RequestInit) => {
    const range = /bytes=(\d+)-(\d+)/.exec(new Headers(init?.headers).get('Range') ?? '');
    return answer([Number(range?.[1]), Number(range?.[2])], init ?? {});
  });
  const loader = new Loader((message) => posted.push(message), send as unknown as typeof fetch);
  const keys = await createExchangeKeys();
  const open = async (grant: Awaited<ReturnType<typeof wrap>>) =>
    loader.handle({
      type: 'open',
      generation: 1,
      url: '/lsv',
      isRetry: false,
      grant,
      keys,
      binding: BINDING,
      stored: null,
    });
  const settled = (type: FromWorker['type']) =>
    vi.waitFor(() => {
      const found = posted.find((message) => message.type === type);
      if (!found) throw new Error(`no ${type}`);
      return found;
    }, WAIT);
  return { loader, keys, open, posted, send, settled };
}

const serve =
  (data: Bytes = raw) =>
  ([first, last]: [number, number]) => {
    const body = data.slice(first, last + 1);
    const headers = { 'Content-Range': `bytes ${first}-${first + body.length - 1}/${data.length}` };
    return new Response(body, { status: 206, headers });
  };

describe('loader', () => {
  it('opens a pack, and decrypts the chunk that is asked for', async () => {
    const { loader, keys, open, posted, settled } = await setUp(serve());
    await open(await wrap(keys));
    const opened = await settled('opened');
    expect(opened.type === 'opened' && hex(opened.init)).toBe(PACK.init);
    loader.handle({ type: 'chunk', generation: 1, record: 2, url: '/lsv', isRetry: true });
    const chunk = await settled('chunk');
    expect(chunk.type === 'chunk' && hex(chunk.data)).toBe(PACK.chunks[1]?.plaintext);
    expect(posted.map(({ type }) => type)).toEqual(['key', 'received', 'opened', 'received', 'chunk']);
  });

  it('fetches nothing with a key of another scope', async () => {
    const { keys, open, send, settled } = await setUp(serve());
    await open(await wrap(keys, 3));
    expect(await settled('refused')).toMatchObject({ fault: 'wrong-scope' });
    expect(send).not.toHaveBeenCalled();
  });

  it('asks past every cache when it asks again', async () => {
    const { loader, keys, open, send, settled } = await setUp(serve());
    await open(await wrap(keys));
    await settled('opened');
    loader.handle({ type: 'chunk', generation: 1, record: 1, url: '/lsv', isRetry: true });
    await settled('chunk');
    expect(send.mock.calls.map(([, init]) => init?.cache)).toEqual(['default', 'reload']);
  });

  it.each([
    ['a header with a bit changed', serve(flipped(raw, 8 * 95)), 'damaged'],
    ['a pack that was made longer', serve(concat(raw, new Uint8Array(1))), 'damaged'],
    ['a ticket that is over', () => new Response('', { status: 401 }), 'ticket'],
    ['a ticket that is refused', () => new Response('', { status: 403 }), 'ticket'],
    ['a server that is away', () => new Response('', { status: 503 }), 'network'],
    ['an answer that is whole instead of a part', () => new Response('', { status: 200 }), 'network'],
    ['no answer', () => Promise.reject(new TypeError('failed to fetch')), 'network'],
    ['another pack', serve(concat(flipped(raw, 8 * 20), new Uint8Array(0))), 'damaged'],
  ] as const)('reports %s', async (_, answer, kind) => {
    const { keys, open, settled } = await setUp(answer);
    await open(await wrap(keys));
    expect(await settled('failed')).toMatchObject({ record: 0, failure: { kind } });
  });

  it('passes on when a server wants to be asked again', async () => {
    const { keys, open, settled } = await setUp(
      () => new Response('', { status: 503, headers: { 'Retry-After': '7' } }),
    );
    await open(await wrap(keys));
    expect(await settled('failed')).toMatchObject({ failure: { kind: 'network', retryAfterSec: 7 } });
  });

  it('says nothing more of what was asked for before a seek', async () => {
    let answerLate: () => void = () => undefined;
    const { loader, keys, open, posted, settled } = await setUp(([first, last]) => {
      if (first === 0) return serve()([first, last]);
      return new Promise<Response>((_, reject) => {
        answerLate = () => reject(new DOMException('aborted', 'AbortError'));
      });
    });
    await open(await wrap(keys));
    await settled('opened');
    loader.handle({ type: 'chunk', generation: 1, record: 1, url: '/lsv', isRetry: true });
    loader.handle({ type: 'cancel', generation: 2 });
    answerLate();
    loader.handle({ type: 'chunk', generation: 2, record: 3, url: '/lsv', isRetry: false });
    expect(await settled('chunk')).toMatchObject({ generation: 2, record: 3 });
    expect(posted.some(({ type }) => type === 'failed')).toBe(false);
  });
});
