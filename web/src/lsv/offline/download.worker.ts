import { Database } from './database';
import { Downloader } from './downloader';
import { PackFiles } from './packFile';
import type { FromDownloader, ToDownloader } from './protocol';
import { selfTest } from './selfTest';

interface Scope {
  onmessage: ((event: MessageEvent<ToDownloader>) => void) | null;
  postMessage(message: FromDownloader): void;
}

const scope = self as unknown as Scope;
const files = new PackFiles();
let current: Downloader | null = null;

async function take(message: ToDownloader): Promise<void> {
  switch (message.type) {
    case 'download':
      current = new Downloader(message, {
        post: (answer) => scope.postMessage(answer),
        send: (input, init) => fetch(input, init),
        files,
        estimate: async () => (await navigator.storage.estimate?.()) ?? {},
        random: Math.random,
      });
      await current.run();
      break;
    case 'url':
      current?.renewed(message.url);
      break;
    case 'hurry':
      current?.hurry();
      break;
    case 'stop':
      current?.stop();
      break;
    case 'remove': {
      const ok = await files.remove(message.name).then(
        () => true,
        () => false,
      );
      scope.postMessage({ type: 'removed', name: message.name, ok });
      break;
    }
    case 'self-test':
      scope.postMessage({ type: 'tested', result: await selfTest(new Database(), files) });
  }
}

scope.onmessage = ({ data }) => {
  // The page hears of errors, and not of rejections.
  take(data).catch((error) =>
    setTimeout(() => {
      throw error;
    }),
  );
};
