import 'swagger-ui-dist/swagger-ui.css';
import '../styles/docs.css';
import SwaggerUI from 'swagger-ui-dist/swagger-ui-es-bundle.js';
import { CSRF_HEADERS } from '../api/client';
import { language } from '../i18n';

const DESCRIPTION_URL = '/openapi.json';

const texts = {
  ko: '아직 API 설명이 만들어지지 않았습니다. 서버에서 “make openapi”를 실행한 뒤 다시 열어 주세요.',
  en: 'The API description has not been made yet. Run “make openapi” on the server, then open this page again.',
};

/** The site answers unknown paths with its own page, so a missing OpenAPI document may arrive as 200 and HTML. */
async function loadDescription(): Promise<object | null> {
  const response = await fetch(DESCRIPTION_URL, { headers: { Accept: 'application/json' } });
  if (!response.ok || !response.headers.get('Content-Type')?.includes('json')) return null;
  return (await response.json()) as object;
}

async function show(target: HTMLElement): Promise<void> {
  document.documentElement.lang = language.value;
  const spec = await loadDescription().catch(() => null);
  if (!spec) {
    target.innerHTML = '<p class="docs-missing" role="status"></p>';
    target.firstElementChild?.append(texts[language.value]);
    return;
  }
  SwaggerUI({
    domNode: target,
    spec,
    deepLinking: true,
    docExpansion: 'list',
    // A list of this length is drawn only where it is looked at, so the browser's own search does not find all of it.
    filter: true,
    defaultModelsExpandDepth: 0,
    // By default it would send the document to a validator on the Internet.
    validatorUrl: null,
    requestInterceptor: (request) => {
      Object.assign(request.headers, { ...CSRF_HEADERS, 'Accept-Language': language.value });
      return request;
    },
  });
}

const target = document.getElementById('docs');
if (target) void show(target);
