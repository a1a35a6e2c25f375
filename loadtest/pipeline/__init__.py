"""Measure the media pipeline: thumbnails after uploads, storyboards and tiny uploads beside bare ffmpeg."""
