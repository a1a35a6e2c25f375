const BY_ADDRESS = 'The browser fetches it: its address stands in';
const BY_TUS = 'Called by tus-js-client, which src/api/upload.ts starts; tested in uploadVideo.test.ts.';
const FOR_APPS = 'For apps without cookies and for proxies; a browser has the session of its cookies.';

/** Routes that no function of src/api calls, and why. A route that a person would want belongs into the site instead. */
export const REASONS: Readonly<Record<string, string>> = {
  'GET /api/admin/streams/metrics':
    'The list of streams, which the dashboard asks for, has the same figures.',
  'POST /api/auth/check': FOR_APPS,
  'POST /api/auth/token': FOR_APPS,
  'GET /api/corporations/{corporation_id}': 'The list of corporations has all that is known of one.',
  'GET /api/offline-licenses/{license_id}': 'Renewing answers the same, and is what a device does that asks.',
  'GET /api/play-sessions/{session_id}': 'Heartbeats answer the same for the own session.',
  'GET /api/uploads/{upload_id}': 'For scripts; the site reads offsets by HEAD, as tus has it.',
  'POST /api/uploads': BY_TUS,
  'PATCH /api/uploads/{upload_id}': BY_TUS,
  'DELETE /api/uploads/{upload_id}': BY_TUS,
  'POST /api/videos': 'The site uploads by tus, which goes on after interruptions. For scripts.',
  'POST /api/videos/{video_id}/progress': 'The form of it that apps know; the site uses PUT /api/progress.',
  'GET /api/videos/{video_id}/chapters.vtt': `${BY_ADDRESS} the player's track element.`,
  'GET /api/videos/{video_id}/lsv': `${BY_ADDRESS} the answer that begins a play session of a protected film.`,
  'GET /api/videos/{video_id}/poster': `${BY_ADDRESS} posters of videos.`,
  'GET /api/videos/{video_id}/storyboard.vtt': `${BY_ADDRESS} storyboard_url of videos.`,
  'GET /api/videos/{video_id}/storyboard/{number}.jpg': `${BY_ADDRESS} the storyboard.`,
  'GET /api/videos/{video_id}/stream': `${BY_ADDRESS} the answer that begins a play session.`,
  'GET /api/videos/{video_id}/subtitles/{lang}': `${BY_ADDRESS} the list of subtitles.`,
  'GET /api/videos/{video_id}/thumbnail': `${BY_ADDRESS} thumbnail_url of videos.`,
};
