# syntax=docker/dockerfile:1
# One image, several roles: `up` (everything, the default), or `web`, `worker`, `beat` by themselves.
FROM python:3.11-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /app
COPY requirements.txt ./
# A path with a brace is a template of a project, no Python yet.
RUN python -m venv /opt/venv \
 && /opt/venv/bin/python -m pip install --require-hashes -r requirements.txt \
 && /opt/venv/bin/python -m compileall -q -x '[{]' /opt/venv

FROM python:3.11-slim-bookworm
LABEL org.opencontainers.image.title="Kedro Console" \
      org.opencontainers.image.description="The self-hosted console that runs Kedro data pipelines through Celery."
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    MALLOC_ARENA_MAX=2 \
    CONSOLE_VAR=/data \
    CONSOLE_BIND=0.0.0.0
RUN groupadd --gid 10001 console \
 && useradd --uid 10001 --gid console --create-home --shell /usr/sbin/nologin console \
 && install --directory --owner=console --group=console --mode=0700 /data /app/pipelines/demo/data
WORKDIR /app
COPY --from=build /opt/venv /opt/venv
COPY manage.py ./
COPY console console
COPY jobs jobs
COPY templates templates
# Kedro writes a project's data into the project; a volume that is mounted there begins with the owner that it has here.
COPY --chown=console:console pipelines pipelines
USER 10001:10001
VOLUME ["/data", "/app/pipelines/demo/data"]
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=40s --retries=3 \
  CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/ready', timeout=4)"]
ENTRYPOINT ["python", "-m", "console"]
CMD ["up"]
