import type { DownloaderPort, FromDownloader, ToDownloader } from './protocol';
import { WorkerError } from './trouble';

/** Has a worker of its own do one thing, and returns its answer. */
export function workerTask<Type extends 'tested' | 'removed'>(
  createWorker: () => DownloaderPort,
  message: ToDownloader,
  type: Type,
): Promise<Extract<FromDownloader, { type: Type }>> {
  return new Promise<never>((resolve, reject) => {
    const worker = createWorker();
    const fail = () => {
      worker.terminate();
      reject(new WorkerError());
    };
    worker.onerror = fail;
    worker.onmessageerror = fail;
    worker.onmessage = ({ data }) => {
      if (data.type !== type) return;
      worker.terminate();
      resolve(data as never);
    };
    worker.postMessage(message);
  });
}
