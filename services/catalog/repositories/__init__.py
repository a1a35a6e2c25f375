"""SQL of catalog for subtitles, imports and jobs; that of videos is in `services.catalog.repository`."""
