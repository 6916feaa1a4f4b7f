"""The URL of an Optuna store: whether it can be one, said before anything is made.

Connects to nothing: whether a server is there, `search.storage` finds out.
"""

from nnsearch.errors import UsageError

_EXAMPLES = "Write postgresql://USER@HOST/DATABASE or sqlite:////folder/optuna.db."


def check_storage(url: str) -> None:
    """Raise UsageError where `url` is no URL of a database, or the database's driver is missing.

    The URL is never shown, for it may hold a password.
    """
    if not url:
        return
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError

    if "{" in url or "}" in url:  # Optuna takes the URL for a format string
        raise UsageError("--storage holds a brace.", "Write { as %7B and } as %7D.")
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # the latter where the port is no number
        raise UsageError("--storage is no URL of a database.", _EXAMPLES) from None
    try:
        parsed.get_dialect().import_dbapi()
    except (NoSuchModuleError, ArgumentError, NotImplementedError):
        name = parsed.drivername[:60]
        raise UsageError(f"--storage: '{name}' is no kind of database.", _EXAMPLES) from None
    except ImportError as error:
        name = parsed.drivername[:60]
        message = f"--storage: the driver of '{name}' is not installed: {error.name}."
        is_ours = parsed.get_backend_name() == "postgresql"
        hint = "pip install 'nnsearch[postgres]'." if is_ours else f"pip install {error.name}."
        raise UsageError(message, hint) from None
