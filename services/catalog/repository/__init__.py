"""SQL of catalog, by what it is about; the rooms beside it (search, series, home and others) have their own."""
