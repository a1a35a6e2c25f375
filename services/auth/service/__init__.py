"""Use cases of auth. Each opens its own transaction; passwords are hashed outside of it."""

from services.auth.service.accounts import Accounts
from services.auth.service.administration import Administration, ResetCode, UserChange
from services.auth.service.audit import Audit, AuditRecord
from services.auth.service.common import Actor, utc_now
from services.auth.service.corporations import Corporations
from services.auth.service.installation import Installation
from services.auth.service.logins import COMMIT_MARGIN, Logins, LoginSession, TokenPair

__all__ = [
    "COMMIT_MARGIN",
    "Accounts",
    "Actor",
    "Administration",
    "Audit",
    "AuditRecord",
    "Corporations",
    "Installation",
    "LoginSession",
    "Logins",
    "ResetCode",
    "TokenPair",
    "UserChange",
    "utc_now",
]
