import { getSeries } from '../../api/discovery';
import { Shelf } from '../../components/Shelf';
import { VideoCard } from '../../components/VideoCard';
import { useLoad } from '../../lib/hooks';
import { episodeText } from '../watch/More';

interface Props {
  seriesId: string;
  season: number | null;
}

/** The episodes of the season that a film belongs to. */
export function Episodes({ seriesId, season }: Props) {
  const [loaded] = useLoad((signal) => getSeries(seriesId, { signal }), [seriesId]);
  const series = loaded.data;
  const episodes = series?.seasons.find((each) => each.season === season)?.episodes ?? [];
  if (!series || episodes.length < 2) return null;
  const link = <a href={`/series/${encodeURIComponent(seriesId)}`}>{series.title}</a>;
  return (
    <Shelf id="episodes" title={link} label={series.title}>
      {episodes.map((video) => (
        <VideoCard
          key={video.id}
          video={video}
          note={episodeText(video)}
          href={`/videos/${encodeURIComponent(video.id)}`}
        />
      ))}
    </Shelf>
  );
}
