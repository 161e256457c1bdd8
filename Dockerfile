# bitgauge in a container: on the CPU, or on the host's GPU through its Vulkan driver.
#
#   docker build --build-arg COMMIT="$(git show --no-patch --format='%h %cs')" --tag bitgauge .
#   docker run --rm bitgauge
#   docker run --rm --volume "$PWD:/work" bitgauge inspect model.zip
#   docker run --rm --gpus all --volume "$PWD:/work" bitgauge eval model.zip --documents d.jsonl      NVIDIA
#   docker run --rm --device /dev/dri --volume "$PWD:/work" bitgauge eval model.zip --documents d.jsonl  AMD, Intel

FROM rust:1.95-slim-bookworm AS build
WORKDIR /source
COPY . .
# There is no git in here.
ARG COMMIT=
RUN BITGAUGE_COMMIT="$COMMIT" cargo build --locked --profile dist --package bitgauge
RUN target/dist/bitgauge man /man

FROM debian:bookworm-slim
# The loader; Mesa's drivers for AMD and Intel; what NVIDIA's driver, which the host lends, links to.
RUN apt-get update \
  && apt-get install --yes --no-install-recommends libvulkan1 mesa-vulkan-drivers libx11-6 libxext6 \
  && rm -rf /var/lib/apt/lists/*
COPY --from=build /source/target/dist/bitgauge /usr/local/bin/bitgauge
COPY --from=build /man /usr/local/share/man/man1
# NVIDIA's runtime lends Vulkan only where graphics is asked for.
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,graphics,utility
WORKDIR /work
ENTRYPOINT ["bitgauge"]
