import { defineConfig } from 'vitest/config';

export default defineConfig({
  build: {
    target: 'es2022',
    // Swagger UI is one big vendored bundle that only /docs/ loads.
    chunkSizeWarningLimit: 2000,
    // The CSP allows images from data: but fonts and scripts only from files.
    assetsInlineLimit: 0,
    rolldownOptions: { input: ['index.html', 'docs/index.html'] },
  },
  server: {
    proxy: { '/api': 'http://127.0.0.1:8080' },
  },
  // The limit bounds failure only: a busy machine takes long for its first keys.
  test: {
    include: ['tests/**/*.test.ts'],
    testTimeout: 60_000,
    // Style sheets are empty in tests, but for the one that a test reads.
    css: { include: [/playing\.css/] },
  },
});
