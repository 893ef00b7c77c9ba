# "docs" below is https://docs.djangoproject.com/en/4.2/
import os
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent

# Made at the first start, by prepare.sh; there is none yet while the image is built.
secret_key_file = Path("/run/peer/secret_key")
SECRET_KEY = secret_key_file.read_text() if secret_key_file.exists() else ""

DEBUG = False
# By --connect the load client reaches a container's address and keeps the name.
ALLOWED_HOSTS = ["localhost"]

# What an API needs. No sessions, no CSRF, no messages: no cookie means anything here.
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.staticfiles",
    "rest_framework",
    "notes",
]
# CommonMiddleware gives answers their Content-Length, without which HTTP/1.1 has to close or to chunk.
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
SILENCED_SYSTEM_CHECKS = ["security.W003"]  # no CsrfViewMiddleware: see above
# Where no nginx serves static files. After SecurityMiddleware: https://whitenoise.readthedocs.io/en/stable/django.html
if os.environ.get("PEER_WHITENOISE"):
    MIDDLEWARE.insert(1, "whitenoise.middleware.WhiteNoiseMiddleware")

ROOT_URLCONF = "peer.urls"
WSGI_APPLICATION = "peer.wsgi.application"

# docs: howto/deployment/checklist/, and `check --deploy` finds nothing. Whether a request came by HTTPS the servers know
# from nginx, so SECURE_PROXY_SSL_HEADER, which believes a header, is not needed.
if os.environ.get("PEER_HTTPS"):
    SECURE_SSL_REDIRECT = True
    SECURE_HSTS_SECONDS = 63072000
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True

# docs: ref/databases/#persistent-connections. None: for ever; 0, the default: a new one for each request.
# Health checks (off by default) would be a second query in each request.
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": "/run/postgresql",
        "NAME": "postgres",
        "USER": "postgres",
        "CONN_MAX_AGE": 0 if os.environ.get("PEER_NEW_CONNECTIONS") else None,
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# The work of Roadstead's own: see hashers.py.
PASSWORD_HASHERS = ["peer.hashers.Argon2"]

# JSON only, as for an API: https://www.django-rest-framework.org/api-guide/renderers/#setting-the-renderers
REST_FRAMEWORK = {
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework_simplejwt.authentication.JWTAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
}

USE_I18N = False
USE_TZ = True
TIME_ZONE = "UTC"

STATIC_URL = "/static/"
STATIC_ROOT = "/srv/static"
STATICFILES_DIRS = [BASE_DIR / "static"]

# Errors to stderr instead of by mail; not a line for each 401, nor, by runserver, for each request.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"stderr": {"class": "logging.StreamHandler"}},
    "root": {"handlers": ["stderr"], "level": "WARNING"},
    "loggers": {
        "django": {"handlers": ["stderr"], "level": "ERROR", "propagate": False},
        "django.server": {"handlers": ["stderr"], "level": "ERROR", "propagate": False},
    },
}
