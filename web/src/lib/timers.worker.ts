import { serveTimers } from './serveTimers';

serveTimers(self as unknown as Parameters<typeof serveTimers>[0]);
