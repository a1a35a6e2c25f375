import type { ComponentType } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import type { VideoDetail } from '../../api/types';
import { loadCode } from '../../components/lazyPage';

/** Loads the code of downloads, which other films don't need. */
export function DownloadButton({ video }: { video: VideoDetail }) {
  const [code, setCode] = useState<{ Panel: ComponentType<{ video: VideoDetail }> } | null>(null);
  useEffect(() => {
    let current = true;
    void loadCode(() => import('./DownloadPanel')).then((loaded) => {
      if (current && loaded) setCode({ Panel: loaded.DownloadPanel });
    });
    return () => {
      current = false;
    };
  }, []);
  return code && <code.Panel video={video} />;
}
