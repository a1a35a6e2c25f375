"""thumbnailer: turns an upload into facts and artwork. It keeps nothing."""
