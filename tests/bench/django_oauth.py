"""django-oauth-toolkit for ONLY=tokens: a whole project in one file, on SQLite, in an environment of its own.

    python django_oauth.py prepare FOLDER CLIENT SECRET CALLBACK PEOPLE    # tables and rows; cookies as JSON
    gunicorn django_oauth:application                              # served, with BENCH_DJANGO=FOLDER

It imports nothing of Aval's. Tokens are opaque: it signs only ID tokens, and those by RS256 or HS256.
"""

import json
import os
import sys
from datetime import timedelta
from pathlib import Path

import django
from django.conf import settings
from django.core.management import call_command
from django.urls import include, path

FOLDER = Path(os.environ.get("BENCH_DJANGO", "."))

settings.configure(
    SECRET_KEY="of the bench",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    USE_TZ=True,
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": FOLDER / "django.sqlite",
            "CONN_MAX_AGE": None,
            "OPTIONS": {"timeout": 30, "transaction_mode": "IMMEDIATE", "init_command": "PRAGMA journal_mode=WAL"},
        }
    },
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "oauth2_provider",
    ],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ],
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "APP_DIRS": True,
            "OPTIONS": {"context_processors": ["django.template.context_processors.request"]},
        }
    ],
    STATIC_URL="/static/",
    OAUTH2_PROVIDER={
        "SCOPES": {"read": "Read", "introspection": "Introspect"},
        "PKCE_REQUIRED": True,
        "ROTATE_REFRESH_TOKEN": False,  # as Aval with a client that proves who it is
        "ACCESS_TOKEN_EXPIRE_SECONDS": 300,
        "ALLOWED_REDIRECT_URI_SCHEMES": ["http", "https"],
    },
)
django.setup()
urlpatterns = [path("o/", include("oauth2_provider.urls", namespace="oauth2_provider"))]

if __name__ != "__main__":
    from django.core.wsgi import get_wsgi_application

    application = get_wsgi_application()


def prepare(client: str, secret: str, callback: str, people: int) -> dict[str, str]:
    """Name → the Cookie header of who is signed in."""
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
    from django.contrib.auth.models import User
    from django.contrib.sessions.backends.db import SessionStore
    from oauth2_provider.models import Application

    call_command("migrate", verbosity=0)
    kinds = {"code": Application.GRANT_AUTHORIZATION_CODE, "itself": Application.GRANT_CLIENT_CREDENTIALS}
    for name, kind in kinds.items():  # one client has one way to get a token here
        Application.objects.create(
            client_id=f"{client}-{name}",
            client_secret=secret,
            hash_client_secret=False,  # a password's hash at each call would be most of what is measured
            client_type=Application.CLIENT_CONFIDENTIAL,
            authorization_grant_type=kind,
            redirect_uris=callback,
        )
    found = {}
    for number in range(people):
        user = User(username=f"person-{number}")
        user.set_unusable_password()
        user.save()
        session = SessionStore()
        session[SESSION_KEY], session[HASH_SESSION_KEY] = str(user.pk), user.get_session_auth_hash()
        session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
        session.set_expiry(timedelta(days=1))
        session.save()
        found[user.username] = f"{settings.SESSION_COOKIE_NAME}={session.session_key}"
    return found


if __name__ == "__main__":
    print(json.dumps(prepare(*sys.argv[2:5], int(sys.argv[5]))))
