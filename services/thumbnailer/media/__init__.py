"""Look into video files: get originals to this machine, and probe and decode them in a confined child process."""
