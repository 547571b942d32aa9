"""Django's settings, all of them derived from `console/env.py`."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import environ as urls
from csp.constants import SELF
from django.urls import reverse_lazy

from console.env import BASE, COMMAND, DEFAULT_URL, ENV, START, embedded_socket, passed_on
from kedro_console import __version__

VERSION = __version__
BASE_DIR = BASE
VAR = ENV.var
DEBUG = ENV.debug
SECRET_KEY = ENV.secret_key
ALLOWED_HOSTS = ENV.allowed_hosts
CSRF_TRUSTED_ORIGINS = ENV.trusted_origins
ROOT_URLCONF = "console.urls"
WSGI_APPLICATION = "console.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_celery_beat",
    "django_celery_results",
    "django_htmx",
    "rest_framework",
    "knox",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "axes",
    "jobs",
    "console",
]
MIDDLEWARE = [
    "console.probes.Probes",
    "console.access.addresses.HearTrustedProxies",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "console.no_database.SayThatThereIsNone",
    "console.odd_requests.RefuseOddRequests",
    "console.access.slow_down.SlowDownLogins",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "axes.middleware.AxesMiddleware",
    "console.reading.keep_time",
    "console.acting.who_asks",
    "console.dialog.tell_where",
]
TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

# ---- database: SQLite tuned for several writing processes, or PostgreSQL by its URL

DATABASES: dict[str, dict[str, Any]] = {"default": urls.Env.db_url_config(ENV.database_url)}
if "sqlite" in DATABASES["default"]["ENGINE"]:
    Path(DATABASES["default"]["NAME"]).parent.mkdir(parents=True, exist_ok=True)
    DATABASES["default"]["ENGINE"] = "console.sqlite"  # threads of a process take turns instead of polling
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",  # a transaction that reads and then writes never fails with "locked"
        "timeout": 20,
        "init_command": (
            "PRAGMA journal_mode=WAL;PRAGMA synchronous=NORMAL;PRAGMA cache_size=-4000;"
            "PRAGMA temp_store=MEMORY;PRAGMA journal_size_limit=67108864;"
        ),
    }
    DATABASES["default"]["CONN_MAX_AGE"] = 60  # opening the file again costs a request more than all its questions
    DATABASES["default"]["TEST"] = {"NAME": VAR / "test.sqlite3"}  # a file: a test's worker opens it too
else:
    DATABASES["default"]["ENGINE"] = "console.postgres"  # an answer that never comes is an error, not a wait
    DATABASES["default"]["CONN_MAX_AGE"] = 60
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
    DATABASES["default"]["OPTIONS"] = {
        "connect_timeout": 5,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 15_000,
        **DATABASES["default"].get("OPTIONS", {}),
    }

MIGRATION_MODULES = {"knox": None}  # our ApiToken takes the place of its table, which would only be in the way

# ---- people

LANGUAGE_CODE = "en"
TIME_ZONE = ENV.time_zone
USE_TZ = True
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",  # locks a name and address after wrong passwords
    "console.access.permissions.Permissions",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
AXES_FAILURE_LIMIT = 6
AXES_COOLOFF_TIME = timedelta(minutes=10)
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
AXES_LOCKOUT_CALLABLE = "console.views.login.locked"
AXES_VERBOSE = False
AXES_CLIENT_IP_CALLABLE = "console.access.addresses.whose_address"
AXES_ENABLE_ACCESS_FAILURE_LOG = True  # each refused login is a row in the admin
LOGIN_URL = reverse_lazy("login")
LOGIN_REDIRECT_URL = reverse_lazy("home")
LOGOUT_REDIRECT_URL = reverse_lazy("login")

# ---- safety of pages

CSRF_FAILURE_VIEW = "console.views.errors.too_old"

SESSION_COOKIE_AGE = 8 * 3600
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = ENV.is_https
SECURE_SSL_REDIRECT = False
SECURE_HSTS_SECONDS = 31536000 if ENV.is_https else 0
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if ENV.is_https else None
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": [SELF, "'unsafe-eval'"],  # Alpine, inside the admin theme, evaluates its attributes
        "style-src": [SELF, "'unsafe-inline'"],
        "img-src": [SELF, "data:", "blob:"],
        "font-src": [SELF, "data:"],
        "worker-src": [SELF, "blob:"],
        "frame-ancestors": ["'none'"],
        "form-action": [SELF],
        "base-uri": [SELF],
        "object-src": ["'none'"],
    }
}
DATA_UPLOAD_MAX_NUMBER_FIELDS = 5_000  # a run form has a field for each parameter
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024  # parameters are text: more than this is a mistake or an attack

# ---- files

STATIC_URL = "static/"
STATICFILES_DIRS = [BASE / "console" / "static"]
STATIC_ROOT = VAR / "static"
WHITENOISE_USE_FINDERS = True  # no collectstatic step before the first page


def _artifact_storage(where: str) -> dict[str, Any]:
    if not where.startswith("s3://"):
        return {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": where}}
    bucket, _, prefix = where.removeprefix("s3://").partition("/")
    return {
        "BACKEND": "console.files.s3_store.S3Store",
        "OPTIONS": {
            "bucket_name": bucket,
            "location": prefix,
            "endpoint_url": ENV.s3_endpoint_url or None,
            "public_url": ENV.s3_public_url or None,
            "access_key": ENV.aws_access_key_id or None,
            "secret_key": ENV.aws_secret_access_key or None,
            "region_name": ENV.aws_region,
            "file_overwrite": True,  # the key is the checksum: the same key is the same content
            "default_acl": None,
        },
    }


STORAGES: dict[str, dict[str, Any]] = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": VAR / "files"}},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    "artifacts": _artifact_storage(ENV.artifact_store),
}

# ---- ours

CONSOLE_ENCRYPTION_KEYS = ENV.encryption_keys
CONSOLE_ARTIFACT_LIMIT_MB = ENV.artifact_limit_mb
CONSOLE_RUN_STORE = ENV.run_store
CONSOLE_S3_REDIRECT = ENV.s3_redirect
CONSOLE_TRUSTED_PROXIES = ENV.trusted_proxies
CONSOLE_LOGIN_LIMIT = ENV.login_limit
CONSOLE_API_LIMIT = ENV.api_limit
CONSOLE_ANONYMOUS_API = ENV.anonymous_api
CONSOLE_WORKER_SLOTS = ENV.worker_slots
CONSOLE_WORKER_QUEUES = ENV.worker_queues
CONSOLE_LEASE_SECONDS = ENV.lease_seconds
CONSOLE_DATABASE_SECONDS = ENV.database_seconds
CONSOLE_BOUNDARY, CONSOLE_RUN_AS, CONSOLE_HIDDEN = ENV.boundary, ENV.run_as, ENV.private_places
CONSOLE_KEEP_STORES_DAYS = ENV.keep_stores_days
CONSOLE_KEEP_LOGS_DAYS = ENV.keep_logs_days
CONSOLE_KEEP_ACTS_DAYS = ENV.keep_acts_days
CONSOLE_LOG_FILE_MB = ENV.log_file_mb
REDIS_URL = ENV.redis_url
REDIS_TLS: dict[str, Any] = {}  # for each who connects: the library below Celery verifies nothing by itself
if ENV.redis_url.startswith("rediss:"):
    REDIS_TLS = {"ssl_cert_reqs": "required", "ssl_check_hostname": True, "ssl_ca_certs": ENV.redis_ca_file or None}
CONSOLE_COMMAND, CONSOLE_START = COMMAND, START  # how the commands are called here, for sentences that name one
CONSOLE_MAIL_URL, CONSOLE_MAIL_FROM = ENV.mail_url, ENV.mail_from
CONSOLE_CHANNEL_NETWORKS = ENV.channel_networks
CONSOLE_DEFAULT_URL = DEFAULT_URL
CONSOLE_URL = ENV.url  # what a command prints as the address of a run
CONSOLE_SOCKETS = embedded_socket(VAR).parent
CONSOLE_PASSED_ON = passed_on(  # all that a project's process sees of our own environment
    ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "USER", "LOGNAME")
)

# ---- Celery: it carries hints, the rows are the truth (docs/operations.md gives the reason for each line)

_BROKER_URL = ENV.redis_url.replace("unix://", "redis+socket://", 1)
CELERY_BROKER_URL = _BROKER_URL
CELERY_BROKER_USE_SSL = REDIS_TLS
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_BROKER_POOL_ACQUIRE_TIMEOUT = 5
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "global_keyprefix": "kc:",
    "visibility_timeout": 3600,
    "unacked_restore_interval": 10,
    "unacked_restore_throttle": 1,
    "socket_timeout": 10,
    "socket_connect_timeout": 3,
    **({} if ENV.redis_url.startswith("unix:") else {"socket_keepalive": True}),
    "health_check_interval": 10,
    "retry_on_timeout": True,
    "max_connections": 50,
    "queue_order_strategy": "priority",
    "priority_steps": list(range(10)),  # each of our ten priorities a list of its own; four would put 3, 4 and 5 in one
}
CELERY_TASK_PUBLISH_RETRY_POLICY = {"max_retries": 0}
CELERY_TASK_SERIALIZER = CELERY_RESULT_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = CELERY_RESULT_ACCEPT_CONTENT = ["json"]
CELERY_TASK_ACKS_LATE = False  # a row that nobody claims is sent again; a message never has to survive
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_DISABLE_PREFETCH = True
CELERY_TASK_TRACK_STARTED = False  # a database that is away at the start would lose the task
CELERY_TASK_IGNORE_RESULT = True
CELERY_RESULT_BACKEND = "django-db"
CELERY_RESULT_EXTENDED = True  # arguments are ids only, so nothing secret can show
CELERY_RESULT_EXPIRES = 30 * 86400
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_SEND_TASK_EVENTS = False
CELERY_TIMEZONE = TIME_ZONE
CELERY_BEAT_SCHEDULER = "console.beat:PatientScheduler"
CELERY_BEAT_MAX_LOOP_INTERVAL = 5
CELERY_BEAT_SYNC_EVERY = 1
CELERY_BEAT_SCHEDULE = {  # beat writes when it sent this: that is how a silent beat is noticed
    "jobs.tick": {"task": "jobs.tick", "schedule": 15.0, "options": {"expires": 15}},
    "jobs.prune": {"task": "jobs.prune", "schedule": 600.0, "options": {"expires": 600}},
}

# ---- API

REST_FRAMEWORK: dict[str, Any] = {
    "SCHEMA_COERCE_PATH_PK": False,
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "console.api.authentication.BearerToken",
        "console.api.authentication.BrowserSession",
        "console.api.authentication.LocalAnonymous",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["console.api.permissions.RolePermission"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "console.api.errors.answer",
}
REST_KNOX = {
    "TOKEN_MODEL": "console.ApiToken",
    "TOKEN_TTL": timedelta(days=90),
    "AUTO_REFRESH": False,
    "AUTH_HEADER_PREFIX": "Bearer",
}
KNOX_TOKEN_MODEL = "console.ApiToken"  # noqa: S105 - the name of a model
SPECTACULAR_SETTINGS = {
    "TITLE": "Kedro Console",
    "VERSION": VERSION,
    "DESCRIPTION": "Start Kedro pipelines, follow them and fetch what they left behind.",
    "SERVE_INCLUDE_SCHEMA": False,
    "ENUM_NAME_OVERRIDES": {
        "JobStatus": "console.api.shapes.JOB_STATUS",
        "NodeStatus": "jobs.states.NodeStatus.choices",
        "RequestStatus": "jobs.states.RequestStatus.choices",
        "ReplayStatus": "jobs.states.ReplayStatus.choices",
        "ResendStatus": "jobs.states.ResendStatus.choices",
        "BackfillStatus": "jobs.states.BackfillStatus.choices",
        "BackfillDateStatus": "jobs.states.DateStatus.choices",
        "FileKind": "console.files.kinds.FAMILIES",
        "ChannelKind": "jobs.states.ChannelKind.choices",
        "FlagKind": "console.api.week.KINDS",
        "ConsoleHealth": "console.api.health.STATUS",
        "Reachability": "console.api.health.REACHABILITY",
        "StoreReachability": "console.api.health.STORE",
    },
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "console.api.schema.say_how_bodies_are_refused",
    ],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
}

from console.theme import UNFOLD  # noqa: E402, F401 - the admin theme's own long dictionary

LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"()": "console.access.hide.Line", "format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": "INFO"},
    "loggers": {
        "axes": {"level": "WARNING"},
        "django.request": {"level": "ERROR"},
        "waitress": {"level": "ERROR"},  # that a request waits for a moment, or a reader has left, is no news
    },
}
