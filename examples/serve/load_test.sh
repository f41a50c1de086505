#!/usr/bin/env bash
# The service and its load on one machine:
#   load_test.sh folder-of-the-programs model.ecseq [options of ecseq_load_test]
# SERVE_OPTIONS: options of ecseq_serve; unless given, memory for the million users of the load.
set -euo pipefail
programs=$1 model=$2
shift 2
port=${PORT:-18080}
# shellcheck disable=SC2086
"$programs/ecseq_serve" --model "$model" --port "$port" ${SERVE_OPTIONS---reserve-users 1000000} &
server=$!
trap 'kill "$server"; wait "$server"' EXIT
until (: >"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do
  kill -0 "$server"
  sleep 0.1
done
"$programs/ecseq_load_test" --port "$port" --features 3 --entities terminal "$@"
grep VmHWM "/proc/$server/status"
