# The console's image with Kedro-Viz beside the demo project: docker build -t kedro-console-viz:0.3.0 -f deploy/kubernetes/kedro-viz.Dockerfile .
ARG CONSOLE_IMAGE=kedro-console:0.3.0
FROM ${CONSOLE_IMAGE}
USER 0:0
RUN /opt/venv/bin/python -m pip install --no-cache-dir --disable-pip-version-check kedro-viz==12.5.0
USER 10001:10001
EXPOSE 4141
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
  CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:4141/', timeout=4)"]
# The demo's nodes import kedro_console.
ENV PYTHONPATH=/app/pipelines
WORKDIR /app/pipelines/demo
ENTRYPOINT ["kedro", "viz", "run", "--host", "0.0.0.0", "--port", "4141", "--no-browser"]
CMD []
