import './mediaChrome';
import type { RefObject } from 'preact';
import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { useLocation } from 'preact-iso';
import { listSubtitles } from '../api/endpoints';
import type { ProgressRecord, SubtitleTrack, VideoDetail } from '../api/types';
import { ErrorMessage } from '../components/ErrorMessage';
import { language } from '../i18n';
import { p } from '../i18n/playing';
import { parsePlaylist } from '../lib/playlist';
import { parseRange } from '../lib/ranges';
import type { ProtectedFilm } from '../lsv/film';
import type { PlaySession } from '../playsession/playSession';
import { keepCueStyle } from './cueStyle';
import { SPEEDS } from './hotkeys';
import { watchForIdleViewer } from './idleViewer';
import { offerJumps, pauseAt } from './jump';
import { KeysDialog } from './KeysDialog';
import { offerMediaSession } from './mediaSession';
import { Playback, type PlaybackFailure } from './playback';
import { keepPreferences } from './preferences';
import { resumePosition } from './progressPolicy';
import { ResumeDialog } from './ResumeDialog';
import { SettingsButton } from './SettingsButton';
import { SettingsDialog } from './SettingsDialog';
import { StillWatching } from './StillWatching';
import { subtitlesLabel } from './subtitles';
import { TouchLayer } from './TouchLayer';
import { UpNext } from './UpNext';
import { toggleFullscreen, useHotkeys } from './useHotkeys';
import { keepAwake } from './wakeLock';
import '../styles/playing.css';

interface Props {
  video: VideoDetail;
  /** Of a protected film. */
  film: ProtectedFilm | null;
  /** Plays while it is active, and again when it is active again. */
  session: PlaySession;
  /** Set when the viewer asked for the next session with a button, so that it plays even if it was paused before. */
  isAskedFor: RefObject<boolean>;
  /** `unknown` when the saved position could not be read: then nothing is saved over it either. */
  record: ProgressRecord | null | 'unknown';
}

export function Player({ video, film, session, isAskedFor, record }: Props) {
  const controller = useRef<HTMLElement>(null);
  const element = useRef<HTMLVideoElement>(null);
  const playback = useRef<Playback | null>(null);
  const [failure, setFailure] = useState<PlaybackFailure | null>(null);
  const { query } = useLocation();
  const range = parseRange(query);
  const place = parsePlaylist(query)?.number ?? null;
  const [start] = useState(() => ({
    at: range?.from ?? 0,
    saved: record === 'unknown' ? null : record,
    // A link to a place in the film says where to begin.
    resumeAt: record === 'unknown' || range ? null : resumePosition(record),
    // Those who see the highlights of a film still go on from where the whole of it was left.
    savePosition: record !== 'unknown' && place === null,
  }));
  const [subtitles, setSubtitles] = useState<SubtitleTrack[]>([]);
  const [asking, setAsking] = useState(start.resumeAt !== null);
  const [keysShown, setKeysShown] = useState(false);
  const [settingsShown, setSettingsShown] = useState(false);
  const [isOver, setOver] = useState(false);
  const [isIdle, setIdle] = useState(false);

  const state = session.state.value;
  const activeId = state.phase === 'active' ? state.id : null;
  const isCovered = activeId === null || failure !== null || film?.isCovered.value === true;

  useEffect(() => {
    if (!element.current) return;
    const created = new Playback(
      element.current,
      video.id,
      () => session.renew(),
      () => session.close({ isFinished: true }),
      setFailure,
      film?.source(element.current, session),
    );
    playback.current = created;
    const detach = created.attach();
    if (start.resumeAt === null) created.begin(start.at, start);
    return detach;
  }, [video.id, film, session, start]);

  useEffect(() => {
    const current = playback.current;
    const url = session.streamUrl;
    if (!current) return;
    if (activeId === null || url === null) {
      current.stop();
      return;
    }
    if (isAskedFor.current) current.playNext();
    isAskedFor.current = false;
    session.measure = () => current.experience();
    current.play(url);
  }, [session, isAskedFor, activeId]);

  useEffect(() => {
    if (film?.stored) {
      setSubtitles(film.stored.subtitles);
      return;
    }
    const loading = new AbortController();
    // A film plays without its subtitles, too.
    listSubtitles(video.id, loading.signal).then(setSubtitles, () => setSubtitles([]));
    return () => loading.abort();
  }, [video.id, film]);

  const choose = (at: number) => {
    setAsking(false);
    playback.current?.begin(at, start);
    controller.current?.focus();
  };

  useEffect(() => (element.current ? offerJumps(element.current) : undefined), []);

  const from = range?.from ?? null;
  const began = useRef({ from, place });
  useEffect(() => {
    if (began.current.from === from && began.current.place === place) return;
    began.current = { from, place };
    if (from !== null) playback.current?.begin(from, start);
  }, [from, place, start]);

  // With the start and the place, as two highlights may end at the same moment.
  const until = range?.until ?? null;
  useEffect(
    () => (element.current && until !== null ? pauseAt(element.current, until) : undefined),
    [until, from, place],
  );

  useEffect(() => (element.current ? keepPreferences(element.current) : undefined), []);
  useEffect(() => (element.current ? keepCueStyle(element.current) : undefined), []);
  useEffect(() => (element.current ? keepAwake(element.current) : undefined), []);
  useEffect(() => (element.current ? offerMediaSession(element.current, video) : undefined), [video]);
  useEffect(
    () => (element.current ? watchForIdleViewer(element.current, () => setIdle(true)) : undefined),
    [],
  );

  const showKeys = useCallback(() => setKeysShown(true), []);
  useHotkeys(controller, element, !asking && !isCovered && !keysShown && !settingsShown, showKeys);

  return (
    <>
      <media-controller
        ref={controller}
        lang={language.value}
        // With -1, Tab would pass over all the controls inside, too.
        tabIndex={0}
        nohotkeys
        novolumepref
        nomutedpref
        breakpoints="md:640"
        autohide="3"
        aria-label={video.title}
        inert={isCovered}
        onDblClick={(event) => {
          const picture = event.target === controller.current || event.target === element.current;
          if (picture && controller.current) toggleFullscreen(controller.current);
        }}
      >
        {/* biome-ignore lint/a11y/useMediaCaption: captions come from the library, and not every film has some */}
        <video
          ref={element}
          slot="media"
          onEnded={() => setOver(true)}
          onPlay={() => setOver(false)}
          onSeeking={() => setOver(false)}
          poster={video.posters?.at(-1)?.url ?? video.thumbnail_url ?? undefined}
          preload="auto"
          playsInline
          data-testid="player"
        >
          {!film?.stored && (
            <track kind="chapters" src={`/api/videos/${encodeURIComponent(video.id)}/chapters.vtt`} default />
          )}
          {/* media-chrome shows the pictures of this track while a viewer points at the timeline. */}
          {video.storyboard_url && (
            <track label="thumbnails" kind="metadata" src={video.storyboard_url} default />
          )}
          {subtitles.map((track) => (
            <track
              key={track.url}
              kind={track.sdh ? 'captions' : 'subtitles'}
              srclang={track.language}
              label={subtitlesLabel(track, language.value)}
              src={track.url}
            />
          ))}
        </video>
        {film && <film.Veil key={film.round.value} film={film} host={controller} />}
        <TouchLayer controller={controller} video={element} />
        <media-loading-indicator slot="centered-chrome" noautohide />
        <media-play-button slot="centered-chrome" class="big-play" />
        {subtitles.length > 0 && <media-captions-menu hidden anchor="auto" />}
        <media-control-bar class="stage-timeline">
          <media-time-range>
            <media-preview-chapter-display slot="preview" />
            <media-preview-thumbnail slot="preview" />
            <media-preview-time-display slot="preview" />
          </media-time-range>
        </media-control-bar>
        <media-control-bar class="stage-buttons">
          <media-play-button />
          <media-seek-backward-button class="wide-only" seekoffset="10" />
          <media-seek-forward-button class="wide-only" seekoffset="10" />
          <media-mute-button />
          <media-volume-range class="wide-only" />
          <media-time-display showduration />
          <span class="stage-space" />
          {subtitles.length > 0 && <media-captions-menu-button />}
          <SettingsButton onClick={() => setSettingsShown(true)} />
          <media-playback-rate-button class="wide-only" rates={SPEEDS.join(' ')} />
          {!film && <media-pip-button class="wide-only" />}
          <media-fullscreen-button />
        </media-control-bar>
      </media-controller>
      {failure && activeId !== null && (
        <div class="stage-cover">
          <h2>{p('player.errorTitle')}</h2>
          <ErrorMessage
            error={failureText(failure)}
            onRetry={() => void playback.current?.retry()}
            retries={failure.retries}
          />
        </div>
      )}
      {film && !failure && activeId !== null && (
        <film.Cover film={film} onRetry={(at) => void playback.current?.retry(at)} />
      )}
      <button type="button" class="keys-button" data-testid="keys-button" onClick={showKeys}>
        {p('keys.title')}
      </button>
      {isOver && !isCovered && video.series_id && <UpNext videoId={video.id} />}
      {isIdle && (
        <StillWatching
          onAnswer={() => {
            setIdle(false);
            element.current?.play().catch(() => undefined);
          }}
        />
      )}
      {settingsShown && element.current && (
        <SettingsDialog
          video={element.current}
          hasSubtitles={subtitles.length > 0}
          canCast={!film}
          onClose={() => setSettingsShown(false)}
        />
      )}
      {keysShown && <KeysDialog onClose={() => setKeysShown(false)} />}
      {asking && start.saved && start.resumeAt !== null && (
        <ResumeDialog
          position={start.resumeAt}
          duration={start.saved.duration}
          onContinue={() => choose(start.resumeAt ?? 0)}
          onRestart={() => choose(0)}
        />
      )}
    </>
  );
}

function failureText(failure: PlaybackFailure): unknown {
  switch (failure.kind) {
    case 'refused':
      return failure.error;
    case 'network':
      return p('player.errorNetwork');
    case 'decode':
      return p('player.errorDecode');
    case 'source':
      return p('player.errorSource');
  }
}
