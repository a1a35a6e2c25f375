"""All SQL of auth, one module an aggregate."""

from services.auth.repository.accounts import (
    InstanceRepository,
    PasswordResetRepository,
    UserFilter,
    UserRepository,
)
from services.auth.repository.audit import AlertRepository, AuditFilter, AuditRepository
from services.auth.repository.corporations import CorporationRepository
from services.auth.repository.tokens import AccountChangeRepository, RefreshTokenRepository

__all__ = [
    "AccountChangeRepository",
    "AlertRepository",
    "AuditFilter",
    "AuditRepository",
    "CorporationRepository",
    "InstanceRepository",
    "PasswordResetRepository",
    "RefreshTokenRepository",
    "UserFilter",
    "UserRepository",
]
