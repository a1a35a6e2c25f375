import { effect, signal } from '@preact/signals';
import { storage } from '../lib/storage';

const KEY = 'marquee.theatre';

/** Whether the film takes the whole width of the window; remembered in this browser. */
export const theatre = signal(storage.get(KEY) === '1');

effect(() => storage.set(KEY, theatre.value ? '1' : ''));
