"""SQL of search."""

from services.catalog.search.repository.reading import MAX_TOTAL, Found, SearchRepository, candidate
from services.catalog.search.repository.writing import SearchIndexRepository

__all__ = ["MAX_TOTAL", "Found", "SearchIndexRepository", "SearchRepository", "candidate"]
