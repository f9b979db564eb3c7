# Runs the demonstration and serves nothing: the site is in /work/public afterwards.
#   docker build -t medssl .                                  CPU
#   docker build -t medssl --build-arg TORCH=cu128 .          CUDA (run with: docker run --gpus all ...)
#   docker build -t medssl --build-arg TORCH_INDEX=URL .      torch from a mirror of your own
#   docker run --rm -v "$PWD/out:/work" medssl                medssl demo
#   docker run --rm -v "$PWD:/work" medssl run my-encoder --suite phantom-v1
# The mounted folder must be writable for user 1000, or add: --user "$(id -u)"
FROM python:3.11-slim
ARG TORCH=cpu
ARG TORCH_INDEX=https://download.pytorch.org/whl/${TORCH}
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 MEDSSL_HOME=/cache
WORKDIR /opt/medssl
RUN pip install torch torchvision --index-url "${TORCH_INDEX}"
COPY pyproject.toml README.md LICENSE ./
COPY bench ./bench
COPY tasks ./tasks
COPY site ./site
RUN pip install ".[onnx,hf,pretrain]" \
    && useradd --create-home --uid 1000 medssl \
    && mkdir -p /cache /work && chown medssl /cache /work && chmod 1777 /cache
USER medssl
WORKDIR /work
VOLUME ["/work", "/cache"]
ENTRYPOINT ["medssl"]
CMD ["demo"]
