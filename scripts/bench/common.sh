# Sourced by the benchmarks.

# The median of the arguments.
median() { printf '%s\n' "$@" | sort -g | awk '{v[NR] = $1} END {print (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2}'; }

# A number in the JSON object on standard input.
field() { sed "s/.*\"$1\": *\([-+0-9.eE]*\).*/\1/"; }
