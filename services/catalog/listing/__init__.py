"""Lists of videos: what they may be filtered by, their orders, and where a page goes on."""
