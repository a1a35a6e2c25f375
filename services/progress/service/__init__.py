"""Use cases of progress. Each opens its own transaction, or works in the transaction of the event that causes it."""

from services.progress.service.bookmarks import Bookmarks, MarkedPlace
from services.progress.service.erasure import erase_viewers, forget_videos
from services.progress.service.history import Entry, History, Recorder
from services.progress.service.home import Home, Homes
from services.progress.service.points import Ledger, Points
from services.progress.service.views import Change, LoggedView, ViewLog, Views

__all__ = [
    "Bookmarks",
    "Change",
    "Entry",
    "History",
    "Home",
    "Homes",
    "Ledger",
    "LoggedView",
    "MarkedPlace",
    "Points",
    "Recorder",
    "ViewLog",
    "Views",
    "erase_viewers",
    "forget_videos",
]
