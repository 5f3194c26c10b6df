#!/bin/sh
# Renders the chart with its default values into flywheel.yaml, for those who
# don't use Helm. With --check it writes nothing and fails if the file is stale.
# Needs helm on the PATH.
set -eu
cd "$(dirname "$0")"

render() {
  echo '# Rendered from charts/flywheel by manifests/render.sh; do not edit.'
  # The oldest Kubernetes the chart takes, so that the result is the same whatever
  # helm was built with. Applied without Helm, nobody else makes the namespace.
  helm template flywheel ../charts/flywheel --namespace flywheel-system \
    --kube-version 1.33.0 --skip-tests --set namespaces.createRelease=true
}

rendered=$(mktemp)
trap 'rm -f "$rendered"' EXIT
render > "$rendered"

case "${1-}" in
  '')
    cat "$rendered" > flywheel.yaml
    ;;
  --check)
    diff -u flywheel.yaml "$rendered" || {
      echo 'manifests/flywheel.yaml is stale: run manifests/render.sh' >&2
      exit 1
    }
    ;;
  *)
    echo "usage: $0 [--check]" >&2
    exit 2
    ;;
esac
