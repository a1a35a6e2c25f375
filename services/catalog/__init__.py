"""catalog: what there is to watch. Videos, their files and artwork, and how they get in."""
