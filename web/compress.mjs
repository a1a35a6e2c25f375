// Writes the list of the files that the site needs without a network, and `name.br` and `name.gz` beside each text file of
// the built site, so that no server compresses it again.
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

const FOLDER = fileURLToPath(new URL('./dist/', import.meta.url));
const COMPRESSIBLE = /\.(css|html|js|json|svg|txt)$/;
const SMALLEST_BYTES = 1024;

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
