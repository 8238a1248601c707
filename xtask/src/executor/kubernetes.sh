#!/bin/sh
# Runs the jobs one after the other:
#
#   IMAGE=… CLAIM=… MOUNT=… ./run.sh
#
# IMAGE is a container image with the programs, CLAIM a PersistentVolumeClaim that holds this
# folder and the data, MOUNT the path that it has here. The paths in the manifests are those
# of the machine that wrote them: programs and folders must have the same ones in the image.
#
# A job that has ended before is run again: its stage makes nothing if there is nothing to do.
set -eu
: "${IMAGE:?}" "${CLAIM:?}" "${MOUNT:?}"
cd "$(dirname "$0")"
ended() {
    kubectl get --ignore-not-found -f "$1" -o 'jsonpath={.status.conditions[?(@.status=="True")].type}'
}
job() {
    case $(ended "$1") in
        *Complete* | *Failed*) kubectl delete -f "$1" ;;
    esac
    sed "s|\"IMAGE\"|\"$IMAGE\"|; s|\"CLAIM\"|\"$CLAIM\"|; s|\"MOUNT\"|\"$MOUNT\"|" "$1" | kubectl apply -f -
    while :; do
        case $(ended "$1") in
            *Complete*) return ;;
            *Failed*) break ;;
        esac
        sleep "${POLL:-5}"
    done
    echo "error: $1 has failed; \`kubectl logs job/NAME\` says why" >&2
    exit 3
}
