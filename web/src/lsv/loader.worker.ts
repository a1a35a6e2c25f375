import { Loader } from './loader';
import { openStoredPack, PackFiles } from './offline/packFile';
import type { FromWorker, ToWorker } from './protocol';

interface Scope {
  onmessage: ((event: MessageEvent<ToWorker>) => void) | null;
  postMessage(message: FromWorker, transfer: Transferable[]): void;
}

const scope = self as unknown as Scope;
const files = new PackFiles();
const loader = new Loader(
  (message, transfer = []) => scope.postMessage(message, transfer),
  (input, init) => fetch(input, init),
  (name) => openStoredPack(files, name),
);
scope.onmessage = ({ data }) => loader.handle(data);
