"""thumbnailer: makes media information and a thumbnail of an upload. It keeps no state."""
