# docker build -t mnist-digit-recognizer .
# docker run -p 5000:5000 mnist-digit-recognizer
#
# Runs as it is with a read-only root: docker run --read-only --tmpfs /tmp -p 5000:5000 mnist-digit-recognizer

FROM python:3.11-slim-bookworm AS build
ENV PATH=/opt/venv/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /app
COPY requirements-serve.txt .
RUN python -m venv --without-pip /opt/venv \
    && pip --python /opt/venv/bin/python install --require-hashes --no-compile -r requirements-serve.txt
COPY . .
# The check leaves bytecode of what it imported, which is all that serving needs.
RUN gunicorn --check-config && python deploy/check_image.py

FROM python:3.11-slim-bookworm
ARG REVISION=unknown
LABEL org.opencontainers.image.title="mnist-digit-recognizer" \
      org.opencontainers.image.description="Reads handwritten digits that people draw, photograph or send over HTTP" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.revision="$REVISION"

RUN useradd --system --no-create-home --uid 10001 digits
WORKDIR /app
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app .

ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    DIGITS_ENV=prod \
    DIGITS_HOST=0.0.0.0 \
    DIGITS_PORT=5000
# By number, so that Kubernetes can tell that it is not root.
USER 10001
EXPOSE 5000
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen(f'http://127.0.0.1:{os.environ[\"DIGITS_PORT\"]}/api/v1/health/ready', timeout=4)"]
CMD ["gunicorn"]
