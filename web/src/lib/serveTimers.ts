/** Sets the timer `id`, or cancels it when there is no delay. */
export interface TimerMessage {
  id: number;
  delayMs: number | null;
}

interface TimerScope {
  onmessage: ((event: MessageEvent<TimerMessage>) => void) | null;
  postMessage(id: number): void;
}

/** The worker's side: runs the timers that the page sets, and reports which one is due. */
export function serveTimers(scope: TimerScope): void {
  const running = new Map<number, ReturnType<typeof setTimeout>>();
  scope.onmessage = ({ data: { id, delayMs } }) => {
    clearTimeout(running.get(id));
    running.delete(id);
    if (delayMs === null) return;
    const timer = setTimeout(() => {
      running.delete(id);
      scope.postMessage(id);
    }, delayMs);
    running.set(id, timer);
  };
}
