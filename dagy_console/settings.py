"""Settings, read from the environment (.env.example lists every variable) and checked at start."""

from pathlib import Path
from typing import Any

from celery.schedules import crontab
from csp.constants import NONE, SELF
from kombu import Queue

from dagy_console.accounts.jwt import checked_settings as check_jwt
from dagy_console.core import environment as env
from dagy_console.core.encryption import checked_keys

BASE_DIR = Path(__file__).resolve().parent.parent

# --- The process -----------------------------------------------------------------------------------------------------
SECRET_KEY = env.required("DAGY_SECRET_KEY", "it signs sessions and cursors; make one of 50 random characters")
ENCRYPTION_KEYS = checked_keys(env.names("DAGY_ENCRYPTION_KEYS"))
DEBUG = env.flag("DAGY_DEBUG")
ALLOWED_HOSTS = env.names("DAGY_ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]")
BASE_URL = env.text("DAGY_BASE_URL", "http://127.0.0.1:8000").rstrip("/")
HTTPS = BASE_URL.startswith("https://")
TRUSTED_PROXIES = env.whole("DAGY_TRUSTED_PROXIES", 0, least=0, most=10)
DEMO = env.flag("DAGY_DEMO")
WEB_THREADS = env.whole("DAGY_WEB_THREADS", 8, least=2, most=1000)

ROOT_URLCONF = "dagy_console.urls"
WSGI_APPLICATION = "dagy_console.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LANGUAGE_CODE = "en"
USE_I18N = False
USE_TZ = True
TIME_ZONE = "UTC"

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.postgres",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "allauth.usersessions",
    "allauth.mfa",
    "csp",
    "django_htmx",
    "template_partials",
    "ninja",
    "dagy_console.core",
    "dagy_console.listing",
    "dagy_console.audit",
    "dagy_console.accounts",
    "dagy_console.customers",
    "dagy_console.alerts",
    "dagy_console.runs",
    "dagy_console.exceptions",
    "dagy_console.demo",
]

MIDDLEWARE = [
    "dagy_console.core.middleware.RequestIdMiddleware",
    "django.middleware.security.SecurityMiddleware",
    # A list of 50 rows is 130 KB plain and a tenth of that compressed; Django pads it against BREACH.
    "django.middleware.gzip.GZipMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "dagy_console.core.middleware.ResponseHeadersMiddleware",
    # Above all that asks the database.
    "dagy_console.core.ratelimit.RateLimitMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "dagy_console.accounts.middleware.ActorMiddleware",
    "dagy_console.accounts.second_factor.SecondFactorMiddleware",
    "dagy.capture.django.CaptureMiddleware",
    # Below capture: what a service refuses is answered here and is no trace.
    "dagy_console.core.middleware.ErrorPagesMiddleware",
]

TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.messages.context_processors.messages",
                "dagy_console.core.http.console_context",
            ],
            "builtins": ["dagy_console.core.templatetags.console", "template_partials.templatetags.partials"],
        },
    }
]

# --- Servers ---------------------------------------------------------------------------------------------------------
DATABASES: dict[str, dict[str, Any]] = {
    "default": env.database(env.required("DATABASE_URL", "the console keeps its index and its audit log in PostgreSQL"))
}
DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
DATABASES["default"]["CONN_MAX_AGE"] = 300
DATABASES["default"]["OPTIONS"] = {
    "application_name": "dagy-console",
    "connect_timeout": "5",
    # Of a machine that is gone nobody hears: half a minute without a sign of life ends the connection.
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "4",
    "tcp_user_timeout": "30000",
} | DATABASES["default"]["OPTIONS"]
# `manage.py migrate` alone is the owner; nothing else needs to know its address.
_OWNER = env.database(env.text("DATABASE_OWNER_URL")) if env.text("DATABASE_OWNER_URL") else DATABASES["default"]
DATABASE_ROLES = {
    role: {name: database[name] for name in ("USER", "PASSWORD", "HOST", "PORT")}
    for role, database in (("application", DATABASES["default"]), ("owner", _OWNER))
}

REDIS_URL = env.required("REDIS_URL", "Celery and the cache need a Redis")
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "dagy",
        "OPTIONS": {"socket_connect_timeout": 2, "socket_timeout": 2},
    }
}

S3_ENDPOINT_URL = env.text("AWS_ENDPOINT_URL_S3") or None
S3_PUBLIC_ENDPOINT_URL = env.text("DAGY_S3_PUBLIC_ENDPOINT_URL") or S3_ENDPOINT_URL
S3_REGION = env.text("AWS_DEFAULT_REGION", "us-east-1")
TRACES_BUCKET = env.text("DAGY_TRACES_BUCKET")
ARTIFACTS_BUCKET = env.text("DAGY_ARTIFACTS_BUCKET")
DOWNLOAD_SECONDS = 900

# --- Background work -------------------------------------------------------------------------------------------------
RECONCILE_SECONDS = env.whole("DAGY_RECONCILE_SECONDS", 5, least=1, most=3600)
# Keys in one request of a bulk deletion: few, so that progress counts what returns. S3 takes 1,000 at most.
DELETION_BATCH = env.whole("DAGY_DELETION_BATCH", 200, least=1, most=1000)
CELERY_BROKER_URL = REDIS_URL
CELERY_TASK_IGNORE_RESULT = True
# Long work waits in a queue of its own, so that a worker can be set aside for it (`--queues`); others serve both.
RUN_QUEUES = list(dict.fromkeys(["default", *env.names("DAGY_RUN_QUEUES")]))
CELERY_TASK_QUEUES = [
    Queue(name) for name in ("celery", "outside", "jobs", "runs", *(f"runs.{name}" for name in RUN_QUEUES[1:]))
]
CELERY_TASK_DEFAULT_QUEUE = "celery"
# What waits for strangers keeps nothing else waiting: each app's `outside.py`.
OUTSIDE_TASKS = ("alerts.deliver", "alerts.deliver_due", "alerts.ping", "core.send_mail", "core.send_mails")
CELERY_TASK_ROUTES = {name: {"queue": "outside"} for name in OUTSIDE_TASKS}
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": 3600, "socket_timeout": 10, "socket_connect_timeout": 5}
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULE = {
    "reconcile-traces": {
        "task": "exceptions.reconcile",
        "schedule": RECONCILE_SECONDS,
        "options": {"expires": RECONCILE_SECONDS},
    },
    "resume-jobs": {"task": "core.resume_jobs", "schedule": 5, "options": {"expires": 5}},
    "start-scheduled-runs": {"task": "runs.schedule", "schedule": 5, "options": {"expires": 5}},
    "resume-runs": {"task": "runs.resume", "schedule": 5, "options": {"expires": 5}},
    "roll-up": {"task": "listing.roll_up", "schedule": 30, "options": {"expires": 30}},
    "make-partitions": {"task": "core.make_partitions", "schedule": 3600, "options": {"expires": 3600}},
    "record-denials": {"task": "accounts.record_denials", "schedule": 60, "options": {"expires": 60}},
    "end-impersonations": {"task": "accounts.end_impersonations", "schedule": 30, "options": {"expires": 30}},
    "lift-due-suspensions": {"task": "customers.lift_due_suspensions", "schedule": 10, "options": {"expires": 10}},
    "send-mails": {"task": "core.send_mails", "schedule": 10, "options": {"expires": 10}},
    "check-rules": {"task": "alerts.check", "schedule": 5, "options": {"expires": 5}},
    "deliver-alerts": {"task": "alerts.deliver_due", "schedule": 5, "options": {"expires": 5}},
    "remove-old-deliveries": {
        "task": "alerts.remove_old",
        "schedule": crontab(hour=3, minute=50),
        "options": {"expires": 3600},
    },
    "catch-up": {"task": "alerts.catch_up", "schedule": 30, "options": {"expires": 30}},
    "tell-ended-silences": {"task": "alerts.tell_ended_silences", "schedule": 60, "options": {"expires": 60}},
    "ping": {"task": "alerts.ping", "schedule": 60, "options": {"expires": 60}},
    "check-health": {"task": "core.check_health", "schedule": 10, "options": {"expires": 10}},
    "beat-heartbeat": {"task": "core.heartbeat", "schedule": 10, "options": {"expires": 10}},
    # At a time of day: a beat that is started anew every day would never come to the end of an interval of one.
    "remove-expired-sign-ins": {
        "task": "accounts.remove_expired",
        "schedule": crontab(hour=3, minute=10),
        "options": {"expires": 3600},
    },
    "remove-old-mails": {
        "task": "core.remove_old_mails",
        "schedule": crontab(hour=3, minute=30),
        "options": {"expires": 3600},
    },
    "remove-old-answers": {
        "task": "core.remove_old_answers",
        "schedule": crontab(hour=3, minute=40),
        "options": {"expires": 3600},
    },
    "remove-old-errors": {
        "task": "exceptions.remove_old_errors",
        "schedule": crontab(hour=3, minute=20),
        "options": {"expires": 3600},
    },
}

# --- Capture: what this process' own API fails with becomes a trace --------------------------------------------------
FUNCTION_NAME = env.text("DAGY_FUNCTION_NAME", "dagy-console")
SPOOL_DIR = env.text("DAGY_SPOOL_DIR") or None
DAGY_CAPTURE_CONTEXT = "dagy_console.accounts.context.capture_context"

# --- People ----------------------------------------------------------------------------------------------------------
AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "account_login"
ACCOUNT_ADAPTER = "dagy_console.accounts.adapter.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_LOGOUT_ON_GET = False
ACCOUNT_SESSION_REMEMBER = None
# By caller, and by caller and account; nobody's failures count for a caller elsewhere.
ACCOUNT_RATE_LIMITS = {"login_failed": "10/m/ip,5/m/key", "reauthenticate": "10/m/user"}
ACCOUNT_RATE_LIMITS |= {"reset_password": "10/m/ip,3/10m/key", "reset_password_from_key": "20/m/ip"}
ACCOUNT_FORMS = {
    "reset_password": "dagy_console.accounts.password_reset.forms.AskForm",
    "reset_password_from_key": "dagy_console.accounts.password_reset.forms.NewPasswordForm",
    "user_token": "dagy_console.accounts.password_reset.forms.LinkForm",
}
PASSWORD_RESET_TIMEOUT = 3600
# How long a proof of who one is counts for what asks for a fresh one.
SUDO_SECONDS = env.whole("DAGY_SUDO_SECONDS", 900, least=10, most=86_400)
# Whether the owners of an organization get a mail when the staff acts as one of its members.
IMPERSONATION_MAIL = env.flag("DAGY_IMPERSONATION_MAIL", default=True)
# Whom customers are told to ask.
SUPPORT_CONTACT = env.text("DAGY_SUPPORT_CONTACT", "the support of Dagy")

# Second factors. No step of tolerance: allauth remembers a used code for one step only.
REQUIRE_MFA = env.flag("DAGY_REQUIRE_MFA", default=True)
MFA_ADAPTER = "dagy_console.accounts.mfa_adapter.MFAAdapter"
MFA_FORMS = {
    "activate_totp": "dagy_console.accounts.factor_forms.SetUpTotpForm",
    "add_webauthn": "dagy_console.accounts.factor_forms.AddPasskeyForm",
    "edit_webauthn": "dagy_console.accounts.factor_forms.RenamePasskeyForm",
    "authenticate_webauthn": "dagy_console.accounts.factor_forms.SecondFactorPasskeyForm",
    "login_webauthn": "dagy_console.accounts.factor_forms.SignInPasskeyForm",
    "reauthenticate_webauthn": "dagy_console.accounts.factor_forms.ReauthenticatePasskeyForm",
}
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes", "webauthn"]
MFA_TOTP_ISSUER = "Dagy Console"
MFA_TOTP_TOLERANCE = 0
MFA_RECOVERY_CODES_SHOW_ONCE = True
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_TRUST_ENABLED = False
ACCOUNT_REAUTHENTICATION_REQUIRED = True
ACCOUNT_REAUTHENTICATION_TIMEOUT = SUDO_SECONDS

ACCESS_TOKEN_TTL_SECONDS = env.whole("DAGY_ACCESS_TOKEN_TTL_SECONDS", 86_400, least=60, most=30 * 86_400)
# Tokens of another issuer. What could be verified with a secret that signs, too (HS*, none), is refused here.
JWT_JWKS_URL, JWT_ISSUER = env.text("DAGY_JWT_JWKS_URL"), env.text("DAGY_JWT_ISSUER")
JWT_AUDIENCE = env.text("DAGY_JWT_AUDIENCE")
JWT_ALGORITHMS = env.names("DAGY_JWT_ALGORITHMS", "RS256,ES256")
check_jwt(JWT_JWKS_URL, JWT_ISSUER, JWT_AUDIENCE, JWT_ALGORITHMS)

SESSION_ENGINE = "django.contrib.sessions.backends.db"
SESSION_COOKIE_NAME = "__Host-dagy" if HTTPS else "dagy"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SESSION_COOKIE_SAMESITE = "Lax"
# From sign-in to the end, whatever happens; and without a request.
SESSION_COOKIE_AGE = env.whole("DAGY_SESSION_SECONDS", 12 * 3600, least=60, most=30 * 86_400)
SESSION_IDLE_SECONDS = env.whole("DAGY_SESSION_IDLE_SECONDS", 3600, least=60, most=30 * 86_400)
CSRF_COOKIE_NAME = "__Host-dagy-csrf" if HTTPS else "dagy-csrf"
CSRF_COOKIE_HTTPONLY = True
CSRF_FAILURE_VIEW = "dagy_console.core.problems.csrf_failure"
CSRF_TRUSTED_ORIGINS = [BASE_URL]

# --- Mail ------------------------------------------------------------------------------------------------------------
MAIL = env.mail("DAGY_EMAIL_URL")
# Mails go out by core.mail alone: what a library would send by itself goes nowhere.
EMAIL_BACKEND = "django.core.mail.backends.dummy.EmailBackend"
DEFAULT_FROM_EMAIL = SERVER_EMAIL = env.text("DAGY_EMAIL_FROM", "Dagy Console <console@localhost>")

# --- Channels of alerts ----------------------------------------------------------------------------------------------
# Hosts and networks that may be asked by http, and though they are inside.
CHANNEL_ALLOWED_HOSTS = env.names("DAGY_CHANNEL_ALLOWED_HOSTS")
# Where Slack's webhooks and PagerDuty's events go, so that a receiver of one's own can stand in.
SLACK_URL = env.text("DAGY_SLACK_URL", "https://hooks.slack.com").rstrip("/")
PAGERDUTY_URL = env.text("DAGY_PAGERDUTY_URL", "https://events.pagerduty.com").rstrip("/")
# Told each minute in which rules were checked, so that somebody outside notices where they are not.
PING_URL = env.text("DAGY_PING_URL", "")

# --- Metrics ---------------------------------------------------------------------------------------------------------
# Who brings it may read /metrics; without one, whoever asks from an internal address.
METRICS_TOKEN = env.text("DAGY_METRICS_TOKEN", "")

# --- Headers ---------------------------------------------------------------------------------------------------------
SECURE_SSL_REDIRECT = HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS and TRUSTED_PROXIES else None
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
SECURE_REFERRER_POLICY = "no-referrer"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
SECURE_REDIRECT_EXEMPT = [r"^health", r"^metrics$"]
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "connect-src": [SELF],
        "font-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
        "object-src": [NONE],
    }
}

# --- Static files ----------------------------------------------------------------------------------------------------
STATIC_URL = "/static/"
STATIC_ROOT = env.text("DAGY_STATIC_ROOT") or str(BASE_DIR / ".local" / "staticfiles")
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "artifacts": {"BACKEND": "dagy_console.core.artifacts.ArtifactsStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}

# Hashed names only, and no compressed source maps: the API's documentation brings megabytes of them.
WHITENOISE_KEEP_ONLY_HASHED_FILES = True
WHITENOISE_SKIP_COMPRESS_EXTENSIONS = ("map", "png", "woff", "woff2", "gz", "br")

# --- Limits ----------------------------------------------------------------------------------------------------------
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024
DATA_UPLOAD_MAX_NUMBER_FIELDS = 2_000
# The API's token buckets; 0 a minute: no limit.
RATE_LIMIT_PER_MINUTE = env.whole("DAGY_RATE_LIMIT_PER_MINUTE", 120, least=0, most=1_000_000)
RATE_LIMIT_BURST = env.whole("DAGY_RATE_LIMIT_BURST", 200, least=1, most=1_000_000)

# --- Logs ------------------------------------------------------------------------------------------------------------
LOG_LEVEL = env.choice("DAGY_LOG_LEVEL", "INFO", "DEBUG", "WARNING", "ERROR", "CRITICAL")
LOG_FORMAT = env.choice("DAGY_LOG_FORMAT", "json", "console")
LOGGING_CONFIG = "dagy_console.core.logs.configure"
# Django calls LOGGING_CONFIG only where this is not empty; all that is in it is in core.logs.
LOGGING: dict[str, Any] = {"version": 1}
