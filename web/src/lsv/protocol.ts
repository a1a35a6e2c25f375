import type { KeyGrant } from '../api/types';
import type { Fault } from './errors';
import type { Binding, ExchangeKeys } from './exchange';
import type { Plan } from './plan';
import type { ChunkFailure } from './retry';

/** A request that failed is repeated past every cache. */
interface Request {
  generation: number;
  url: string;
  isRetry: boolean;
}

export interface OpenRequest extends Request {
  type: 'open';
  grant: KeyGrant;
  keys: ExchangeKeys;
  binding: Binding;
  /** Where this browser keeps the pack; null: it is fetched. A licence is for one of both. */
  stored: string | null;
}

export interface ChunkRequest extends Request {
  type: 'chunk';
  record: number;
}

/** Requests of earlier generations are aborted: the viewer is elsewhere now. */
export interface CancelRequest {
  type: 'cancel';
  generation: number;
}

export type ToWorker = OpenRequest | ChunkRequest | CancelRequest;

/** Record 0 stands for the header and the initialisation segment. */
export type FromWorker =
  | { type: 'key'; generation: number }
  | { type: 'opened'; generation: number; plan: Plan; init: ArrayBuffer }
  | { type: 'received'; generation: number; record: number }
  | { type: 'chunk'; generation: number; record: number; data: ArrayBuffer }
  | { type: 'failed'; generation: number; record: number; failure: ChunkFailure }
  /** The key is not for this, or does not unwrap: nothing is fetched. */
  | { type: 'refused'; generation: number; fault: Fault };

/** What the engine needs of a worker. */
export interface LoaderPort {
  onmessage: ((event: MessageEvent<FromWorker>) => void) | null;
  postMessage(message: ToWorker): void;
  terminate(): void;
}
