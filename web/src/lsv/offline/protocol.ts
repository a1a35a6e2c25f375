import type { KeyGrant } from '../../api/types';
import type { Fault } from '../errors';
import type { Binding, ExchangeKeys } from '../exchange';
import type { Progress } from './downloadPlan';
import type { SelfTestResult } from './selfTest';

export interface DownloadRequest {
  type: 'download';
  /** Where the pack is kept. */
  name: string;
  url: string;
  grant: KeyGrant;
  keys: ExchangeKeys;
  binding: Binding;
}

export type ToDownloader =
  | DownloadRequest
  /** A fresh ticket, when one was asked for. */
  | { type: 'url'; url: string }
  /** The network is back. */
  | { type: 'hurry' }
  | { type: 'stop' }
  | { type: 'remove'; name: string }
  | { type: 'self-test' };

export type DownloadFailure =
  /** The server's bytes, in spite of all attempts. */
  | { kind: 'damaged' }
  | { kind: 'full' }
  | { kind: 'room'; lackingBytes: number }
  /** The worker did not start, or has crashed. */
  | { kind: 'worker' }
  /** Another tab writes this film. */
  | { kind: 'elsewhere' }
  | { kind: 'key'; fault: Fault };

export type FromDownloader =
  /** `progress` is null before the header is there. */
  | { type: 'progress'; progress: Progress | null; isWaiting: boolean }
  | { type: 'ticket' }
  | { type: 'complete'; progress: Progress }
  | { type: 'stopped' }
  | { type: 'failed'; failure: DownloadFailure }
  | { type: 'removed'; name: string; ok: boolean }
  | { type: 'tested'; result: SelfTestResult };

/** What the page needs of the worker that downloads. */
export interface DownloaderPort {
  onmessage: ((event: MessageEvent<FromDownloader>) => void) | null;
  onerror: ((event: ErrorEvent) => void) | null;
  onmessageerror: ((event: MessageEvent) => void) | null;
  postMessage(message: ToDownloader): void;
  terminate(): void;
}
