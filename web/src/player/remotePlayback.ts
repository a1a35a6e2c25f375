/** Whether there is a device that can play the film, or one that does. */
export type RemoteState = 'none' | 'available' | 'connected';

/**
 * Watches for devices that a film can be sent to (Remote Playback API, W3C), which costs power, so only while a button
 * for it is in view. Returns how to end it.
 */
export function watchRemote(video: HTMLVideoElement, onChange: (state: RemoteState) => void): () => void {
  const { remote } = video as { remote?: RemotePlayback };
  if (!remote) return () => undefined;
  const listening = new AbortController();
  const { signal } = listening;
  let isAvailable = false;
  const report = () => {
    if (signal.aborted) return;
    if (remote.state !== 'disconnected') onChange('connected');
    else onChange(isAvailable ? 'available' : 'none');
  };
  const note = (available: boolean) => {
    isAvailable = available;
    report();
  };
  const watching = remote.watchAvailability(note).catch((error: unknown) => {
    // Section 6.2.3: a browser that can't watch all the time looks for devices when it is asked to.
    note(error instanceof DOMException && error.name === 'NotSupportedError');
    return null;
  });
  for (const type of ['connecting', 'connect', 'disconnect'])
    remote.addEventListener(type, report, { signal });
  return () => {
    listening.abort();
    void watching
      .then((id) => (id === null ? undefined : remote.cancelWatchAvailability(id)))
      .catch(() => undefined);
  };
}
