// Writes the list of the files that the site needs without a network, and `name.br` and `name.gz` beside each text file of
// the built site, so that no server compresses it again. Fails when the home page would take too long to load.
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

const FOLDER = fileURLToPath(new URL('./dist/', import.meta.url));
const COMPRESSIBLE = /\.(css|html|js|json|svg|txt)$/;
const SMALLEST_BYTES = 1024;
/** Of all that the home page loads before it shows, compressed by gzip: browsers ask for Brotli over HTTPS only. */
const MAX_FIRST_LOAD_BYTES = 45 * 1024;

// Not those of administration, uploads and the documentation of the API, which need the server anyway.
const ONLINE_ONLY = /^(AdminPage|UploadPage|browser)-/;
const namedBy = (page) => readFileSync(join(FOLDER, page), 'utf8').match(/\/assets\/[^"]+/g) ?? [];
const ofSite = namedBy('index.html');
const ofDocumentation = namedBy('docs/index.html').filter((path) => !ofSite.includes(path));
const kept = readdirSync(join(FOLDER, 'assets'))
  .filter((name) => /\.(css|js)$/.test(name) && !ONLINE_ONLY.test(name))
  .map((name) => `/assets/${name}`)
  .filter((path) => !ofDocumentation.includes(path));
writeFileSync(join(FOLDER, 'app-files.json'), JSON.stringify(['/favicon.svg', ...kept]));

for (const name of readdirSync(FOLDER, { recursive: true, encoding: 'utf8' })) {
  const path = join(FOLDER, name);
  if (!COMPRESSIBLE.test(name) || statSync(path).size < SMALLEST_BYTES) continue;
  const content = readFileSync(path);
  writeFileSync(`${path}.gz`, gzipSync(content, { level: constants.Z_BEST_COMPRESSION }));
  writeFileSync(
    `${path}.br`,
    brotliCompressSync(content, { params: { [constants.BROTLI_PARAM_SIZE_HINT]: content.length } }),
  );
}

const sizeOf = (path) => statSync(join(FOLDER, path)).size;
const compressedSizeOf = (path, ending) => sizeOf(sizeOf(path) < SMALLEST_BYTES ? path : path + ending);
const firstLoad = (ending) =>
  ['index.html', ...new Set(ofSite)].reduce((sum, path) => sum + compressedSizeOf(path, ending), 0);
const kib = (bytes) => `${(bytes / 1024).toFixed(1)} KiB`;
console.log(`The home page loads ${kib(firstLoad('.gz'))} by gzip, ${kib(firstLoad('.br'))} by Brotli.`);
if (firstLoad('.gz') > MAX_FIRST_LOAD_BYTES) {
  console.error(
    `At most ${kib(MAX_FIRST_LOAD_BYTES)} by gzip: load what it does not show with the pages that do.`,
  );
  process.exit(1);
}
