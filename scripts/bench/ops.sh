#!/usr/bin/env bash
# What a small operator call costs and how fast a float32 product is, here and in PyTorch from Python on the same
# libtorch: four runs of each, turn and turn about, then the ratio of the medians.
#
#   scripts/bench/ops.sh [PYTHON]        PYTHON has torch; /usr/bin/python3 unless given
#
# TorchSharp runs without OPENBLAS_* in the environment, as for a user who set nothing; PyTorch runs with
# OPENBLAS_CORETYPE=SKYLAKEX where the CPU has AVX-512, which is the kernel that is right there.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
python=${1:-/usr/bin/python3}
unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE
kernel=
if grep -q avx512f /proc/cpuinfo; then kernel=OPENBLAS_CORETYPE=SKYLAKEX; fi

output=$(dotnet build scripts/bench/ops -c Release --nologo -v quiet -o .cache/bench-ops </dev/null) || { echo "$output" >&2; exit 1; }

median() { printf '%s\n' "$@" | sort -n | awk '{v[NR] = $1} END {print (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2}'; }

compare() { # NAME UNIT
    local ours=() theirs=()
    for _ in 1 2 3 4; do
        ours+=("$(.cache/bench-ops/bench-ops "$1")")
        theirs+=("$(env $kernel "$python" scripts/bench/ops/ops.py "$1")")
    done
    local a b
    a=$(median "${ours[@]}")
    b=$(median "${theirs[@]}")
    printf '%s, %s: TorchSharp %s (%s), PyTorch %s (%s), ratio %s\n' "$1" "$2" "$a" "${ours[*]}" "$b" "${theirs[*]}" \
        "$(awk "BEGIN {printf \"%.2f\", $a / $b}")"
}

OMP_NUM_THREADS=1 compare add "ns a call of a 4x4 add, scope included"
compare matmul "GFLOP/s of 2048x2048 float32"
