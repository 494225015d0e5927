# The image of Rapport: the program and what it links to, nothing else. No shell, no package manager.
#
#   docker build -t rapport .
#   docker run -p 8080:8080 -v rapport:/var/lib/rapport \
#     -e RAPPORT_AUTH__SECRET="$(openssl rand -base64 48)" -e RAPPORT_SERVER__PUBLIC_URL=http://localhost:8080 rapport

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
# .cargo/config.toml gives SQLite its flags. The caches make the next build short; the program is copied out of them.
# Cargo tells what changed by the times of the files, which a copy keeps from wherever it was made: so they are set.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target,sharing=locked \
    find . -path ./target -prune -o -type f -exec touch {} + && \
    cargo build --locked --profile dist --bin rapport && \
    install -D target/dist/rapport /out/rapport && \
    mkdir /out/data

FROM gcr.io/distroless/cc-debian12
COPY --from=build /out/rapport /usr/local/bin/rapport
COPY --from=build --chown=65532:65532 /out/data /var/lib/rapport
ENV RAPPORT_SERVER__HOST=0.0.0.0 \
    RAPPORT_DATABASE__DATA_DIR=/var/lib/rapport \
    RAPPORT_LOGGING__FORMAT=json
USER 65532:65532
WORKDIR /var/lib/rapport
VOLUME /var/lib/rapport
EXPOSE 8080
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 CMD ["/usr/local/bin/rapport", "health"]
ENTRYPOINT ["/usr/local/bin/rapport"]
CMD ["serve"]
