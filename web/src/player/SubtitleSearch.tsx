import { useEffect, useState } from 'preact/hooks';
import { ErrorMessage } from '../components/ErrorMessage';
import { p } from '../i18n/playing';
import { formatClock } from '../lib/format';
import { findLines, readLines, type SubtitleLine, subtitleTracks } from './subtitleLines';

/** A longer list helps less than another word. */
const SHOWN = 100;

interface Props {
  video: HTMLVideoElement;
  onChoose: (seconds: number) => void;
}

/** The lines of the subtitles that have a text in them; each leads to its moment. */
export function SubtitleSearch({ video, onChoose }: Props) {
  const [tracks] = useState(() => subtitleTracks(video));
  const [chosen, setChosen] = useState(() =>
    Math.max(
      0,
      tracks.findIndex(({ track }) => track.mode === 'showing'),
    ),
  );
  const [text, setText] = useState('');
  const [lines, setLines] = useState<SubtitleLine[] | 'failed' | null>(null);

  const element = tracks[chosen];
  useEffect(() => {
    if (!element) return;
    let current = true;
    const wasDisabled = element.track.mode === 'disabled';
    setLines(null);
    readLines(element).then(
      (read) => current && setLines(read),
      () => current && setLines('failed'),
    );
    return () => {
      current = false;
      if (wasDisabled && element.track.mode === 'hidden') element.track.mode = 'disabled';
    };
  }, [element]);

  const found = Array.isArray(lines) && text.trim() ? findLines(lines, text) : [];
  return (
    <fieldset data-testid="subtitle-search">
      <legend>{p('subtitles.search')}</legend>
      {tracks.length > 1 && (
        <label>
          {p('subtitles.track')}
          <select value={chosen} onChange={(event) => setChosen(Number(event.currentTarget.value))}>
            {tracks.map(({ label, src }, index) => (
              <option key={src} value={index}>
                {label}
              </option>
            ))}
          </select>
        </label>
      )}
      <label>
        {p('subtitles.text')}
        <input
          type="search"
          value={text}
          maxLength={100}
          autoComplete="off"
          onInput={(event) => setText(event.currentTarget.value)}
        />
      </label>
      {lines === 'failed' && <ErrorMessage error={p('subtitles.failed')} />}
      <p class="quiet" role="status">
        {text.trim() && Array.isArray(lines) && p('subtitles.found', { count: found.length })}
      </p>
      {found.length > 0 && (
        <ol class="cue-lines">
          {found.slice(0, SHOWN).map(({ start, text: line }, index) => (
            <li key={index}>
              <button type="button" onClick={() => onChoose(start)}>
                <span>{formatClock(start)}</span> {line}
              </button>
            </li>
          ))}
        </ol>
      )}
    </fieldset>
  );
}
