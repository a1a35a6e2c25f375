import { Loader } from './loader';
import type { FromWorker, ToWorker } from './protocol';

interface Scope {
  onmessage: ((event: MessageEvent<ToWorker>) => void) | null;
  postMessage(message: FromWorker, transfer: Transferable[]): void;
}

const scope = self as unknown as Scope;
const loader = new Loader(
  (message, transfer = []) => scope.postMessage(message, transfer),
  (input, init) => fetch(input, init),
);
scope.onmessage = ({ data }) => loader.handle(data);
