# syntax=docker/dockerfile:1
# One image for web, worker and beat: docker-compose.yml says which of them a container is.

FROM python:3.13.14-slim-bookworm AS build
WORKDIR /app
COPY requirements/uv.txt requirements/base.txt requirements/
RUN python -m pip install --no-cache-dir --disable-pip-version-check --root-user-action ignore \
      --require-hashes -r requirements/uv.txt \
 && uv venv --no-cache --python "$(command -v python)" /opt/venv \
 && uv pip install --no-cache --python /opt/venv/bin/python --compile-bytecode --link-mode copy \
      --require-hashes -r requirements/base.txt

FROM python:3.13.14-slim-bookworm
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    DJANGO_SETTINGS_MODULE=dagy_console.settings \
    DAGY_STATIC_ROOT=/app/staticfiles \
    DAGY_WEB_THREADS=16 \
    DAGY_SPOOL_DIR=/var/lib/dagy/spool
RUN useradd --system --uid 10001 --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin dagy \
 && install -d -o dagy -g dagy -m 0700 /var/lib/dagy
WORKDIR /app
COPY --from=build /opt/venv /opt/venv
COPY manage.py ./
COPY dagy dagy
COPY dagy_console dagy_console
COPY templates templates
COPY static static
# Nothing is connected to here: the settings only want to see that each server has an address.
RUN DAGY_SECRET_KEY=only-for-collectstatic-and-never-used-to-sign \
    DATABASE_URL=postgresql://nobody@127.0.0.1/none \
    REDIS_URL=redis://127.0.0.1/0 \
    python manage.py collectstatic --noinput \
 && python -m compileall -q dagy dagy_console
USER dagy
EXPOSE 8000
# Answers without asking any server. The Host header must be one that DAGY_ALLOWED_HOSTS lets in.
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 CMD ["python", "-c", "import os, urllib.request as web; host = os.environ.get('DAGY_ALLOWED_HOSTS', '').split(',')[0].strip().lstrip('*.') or '127.0.0.1'; web.urlopen(web.Request('http://127.0.0.1:8000/health/live', headers={'Host': host}), timeout=4)"]
CMD ["python", "-m", "dagy_console.serve", "0.0.0.0:8000", "30"]
