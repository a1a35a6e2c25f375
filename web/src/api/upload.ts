import { language } from '../i18n';
import { CSRF_HEADERS } from './client';
import { NetworkError, parseApiError } from './errors';
import type { VideoSummary } from './types';

export interface UploadRequest {
  title: string;
  description: string;
  file: File;
}

export interface UploadHandle {
  result: Promise<Pick<VideoSummary, 'id' | 'status'>>;
  abort: () => void;
}

/** Every byte was sent, but no response arrived. */
export class AnswerLostError extends NetworkError {
  override name = 'AnswerLostError';
}

/** Uses XMLHttpRequest, because fetch reports no upload progress. */
export function uploadVideo(upload: UploadRequest, onProgress: (sentBytes: number) => void): UploadHandle {
  const form = new FormData();
  form.append('title', upload.title);
  form.append('description', upload.description);
  // The file comes last, so that the server has all other fields before its first byte arrives.
  form.append('file', upload.file, upload.file.name);

  const xhr = new XMLHttpRequest();
  let allSent = false;
  const result = new Promise<Pick<VideoSummary, 'id' | 'status'>>((resolve, reject) => {
    xhr.open('POST', '/api/videos');
    xhr.setRequestHeader('Accept-Language', language.value);
    for (const [name, value] of Object.entries(CSRF_HEADERS)) xhr.setRequestHeader(name, value);
    xhr.upload.onprogress = (event) => {
      // The multipart envelope adds some bytes to the file's own.
      onProgress(Math.min(upload.file.size, Math.round((event.loaded / event.total) * upload.file.size)));
    };
    xhr.upload.onload = () => {
      allSent = true;
    };
    xhr.onload = () => {
      if (xhr.status === 201) resolve(JSON.parse(xhr.responseText));
      else reject(parseApiError(xhr.status, xhr.responseText));
    };
    xhr.onerror = () => reject(allSent ? new AnswerLostError() : new NetworkError());
    xhr.onabort = () => reject(new DOMException('Upload cancelled', 'AbortError'));
    xhr.send(form);
  });
  return { result, abort: () => xhr.abort() };
}
