# docker build -t mnist-digit-recognizer .
# docker run -p 5000:5000 mnist-digit-recognizer
#
# Runs as it is with a read-only root: docker run --read-only --tmpfs /tmp -p 5000:5000 mnist-digit-recognizer

FROM python:3.11-slim-bookworm AS build

# Debian keeps only the newest version of a package, so a pinned one soon cannot be built.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends binutils \
    && rm -rf /var/lib/apt/lists/*

# PyTorch's own index has CPU builds, a tenth the size of the CUDA builds on PyPI. Empty, --build-arg TORCH_INDEX=,
# it leaves the choice to pip's own configuration.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
COPY requirements-serve.txt .
RUN python -m venv --without-pip /opt/venv \
    && pip --python /opt/venv/bin/python install --no-compile \
        ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} -r requirements-serve.txt

# Without what only compiling, exporting or testing needs, and with symbol tables stripped. The last step of this stage
# fails where serving needs any of it after all.
WORKDIR /opt/venv/lib/python3.11/site-packages
RUN pip --python /opt/venv/bin/python uninstall -y sympy mpmath networkx setuptools \
    && rm -rf torch/include torch/share torch/test torch/_dynamo torch/_inductor torch/onnx \
        torch/distributed/tensor torch/distributed/fsdp torch/distributed/checkpoint torch/distributed/elastic \
        torch/distributed/pipelining torch/_vendor/quack torch/utils/hipify torch/utils/benchmark \
        torch/lib/lib*_test.so torch/lib/libaoti_custom_ops.so torch/lib/libbackend_with_compiler.so \
        PIL/_avif.*.so pillow.libs/libavif-* \
        pytz/zoneinfo flask_swagger_ui/dist/swagger-ui.js flask_swagger_ui/dist/swagger-ui-standalone-preset.js \
    && find babel/locale-data -type f ! -name root.dat ! -name en.dat ! -name de.dat -delete \
    && find torch -path 'torch/bin/*' -type f ! -name torch_shm_manager -delete \
    && find torch -path 'torch/testing/_internal/*' -type f \
        ! -name __init__.py ! -name common_dtype.py ! -name logging_tensor.py -delete \
    && find . -type d -name tests -prune -exec rm -rf {} + \
    && find . -type f -name '*.pyi' -delete \
    && strip --strip-unneeded torch/lib/libtorch_cpu.so torch/lib/libtorch_python.so PIL/_imaging*.so

# Bytecode for all but torch, of which prediction imports a third: for that it is written by the run that proves that
# the trimmed libraries still start, decode and predict.
WORKDIR /app
COPY . .
ENV PATH=/opt/venv/bin:$PATH
RUN python -m compileall -q -x '/site-packages/torch/' /opt/venv /app \
    && gunicorn --check-config \
    && python -c "import io; from PIL import Image; from flask_app import create_app; \
        client = create_app().test_client(); \
        one = {'strokes': [[[100, 20], [101, 60], [100, 120], [99, 180]]]}; \
        pages, drawn = [client.get(path) for path in ('/?lang=en', '/?lang=de', '/model')], client.post('/api/v1/predict', json=one); \
        picture = Image.new('RGB', (200, 200), 'white'); picture.paste('black', (95, 30, 110, 170)); \
        files = {kind: io.BytesIO() for kind in ('PNG', 'JPEG', 'GIF', 'BMP', 'WEBP')}; \
        [picture.save(file, kind) or file.seek(0) for kind, file in files.items()]; \
        sent = [client.post('/api/v1/predict', data={'image': (file, 'one')}) for file in files.values()]; \
        raise SystemExit(0 if all(page.status_code == 200 for page in pages) and all(a.json.get('digit') == 1 for a in [drawn, *sent]) \
            else str([*(page.status for page in pages), drawn.json, *(a.json for a in sent)]))"


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
