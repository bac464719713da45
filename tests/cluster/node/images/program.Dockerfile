# One static program and nothing else: `pause` and KubeRay's operator.
FROM scratch
COPY program /manager
USER 65532:65532
ENTRYPOINT ["/manager"]
