import { listSubtitles } from '../../api/endpoints';
import type { VideoDetail } from '../../api/types';
import { language } from '../../i18n';
import { p } from '../../i18n/playing';
import { v } from '../../i18n/viewer';
import { useLoad } from '../../lib/hooks';
import { audioText, subtitleText } from '../../lib/tracks';

/** The sound tracks and the subtitles of a film, and the size of its picture. */
export function Tracks({ video }: { video: VideoDetail }) {
  const [subtitles] = useLoad((signal) => listSubtitles(video.id, signal), [video.id]);
  const audio = video.media?.audio ?? [];
  return (
    <section aria-labelledby="tracks" data-testid="tracks">
      <h2 id="tracks">{v('video.tracks')}</h2>
      <dl class="tracks">
        <Tracklist name={v('video.audio')} texts={audio.map((track) => audioText(track, language.value))} />
        {subtitles.data && (
          <Tracklist
            name={v('video.subtitles')}
            texts={subtitles.data.map((track) => subtitleText(track, language.value))}
          />
        )}
        {video.width && video.height && (
          <Tracklist name={p('player.resolution')} texts={[`${video.width}×${video.height}`]} />
        )}
      </dl>
    </section>
  );
}

function Tracklist({ name, texts }: { name: string; texts: string[] }) {
  return (
    <div>
      <dt>{name}</dt>
      {texts.length === 0 && <dd>{v('video.none')}</dd>}
      {texts.map((text, index) => (
        <dd key={`${text} ${index}`}>{text}</dd>
      ))}
    </div>
  );
}
