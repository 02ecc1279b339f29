# Sourced by the benchmarks.

# build NAME: a bench of this folder into .cache/bench/NAME.
build() {
    local log
    log=$(dotnet build "scripts/bench/$1" -c Release --nologo -v quiet -o ".cache/bench/$1" </dev/null) || { echo "$log" >&2; exit 1; }
}

# The median of the arguments.
median() { printf '%s\n' "$@" | sort -g | awk '{v[NR] = $1} END {print (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2}'; }

# A number in the JSON object on standard input, the first of a list.
field() { sed "s/.*\"$1\": *\[\{0,1\}\([-+0-9.eE]*\).*/\1/"; }

# bf16 where the CPU multiplies it, as --dtype auto decides.
fast_dtype() { if grep -qE 'amx_bf16|avx512_bf16' /proc/cpuinfo; then echo bf16; else echo fp32; fi; }

# race LABEL ROUNDS COMMAND_A COMMAND_B [COMMAND_C]: turn and turn about; tokens per second and peak memory (medians), the
# ratios of A to each other pair by pair, and how far the first losses are apart.
race() {
    local label=$1 rounds=$2 result round index row
    shift 2
    local commands=("$@") speeds=() peaks=() ratios=() losses=()
    for ((round = 0; round < rounds; round++)); do
        for index in "${!commands[@]}"; do
            result=$(${commands[index]}) || return 1
            speeds[index]+=" $(field tokens_per_second <<<"$result")"
            peaks[index]+=" $(field peak_mb <<<"$result")"
            losses[index]=$(field losses <<<"$result")
            ratios[index]+=" $(awk -v a="$(last "${speeds[0]}")" -v b="$(last "${speeds[index]}")" 'BEGIN {print a / b}')"
        done
    done
    row="$label: $(printf '%.0f' "$(median ${speeds[0]})") tokens/s, $(printf '%.0f' "$(median ${peaks[0]})") MiB"
    for ((index = 1; index < ${#commands[@]}; index++)); do
        row+=$(awk -v name="${commands[index]##* }" -v s="$(median ${speeds[index]})" -v m="$(median ${peaks[index]})" -v r="$(median ${ratios[index]})" \
            -v own="$(median ${peaks[0]})" -v a="${losses[0]}" -v b="${losses[index]}" 'BEGIN {
            printf "; %s %.0f tokens/s, %.0f MiB: %.2f x the speed, %.2f x the memory, losses %.0e apart", name, s, m, r, own / m, (a > b ? a - b : b - a) }')
    done
    echo "$row"
}

last() { echo "${1##* }"; }
