/** Has the site's own files kept, so that its pages open without a network. Does nothing where that is not possible. */
export async function keepApp(): Promise<void> {
  await navigator.serviceWorker?.register('/service-worker.js', { updateViaCache: 'none' });
}
