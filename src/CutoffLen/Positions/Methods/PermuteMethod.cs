using CutoffLen.Common;
using CutoffLen.Positions.Spec;

namespace CutoffLen.Positions.Methods;

/// <summary>
/// PermuteFormer (arXiv 2109.02377). Each head has a random permutation; at position i it is applied i times to the elements
/// of queries and keys. Attention weights decay by ratio_h^distance. The paper's attention is linear; under softmax the decay
/// is an equivalent bias of distance * ln(ratio_h) on the scores.
/// </summary>
public sealed class PermuteMethod : PositionMethod
{
    private readonly PositionModel model;
    private readonly int[][]? permutations;
    private readonly double[]? slopes;

    private PermuteMethod(PositionModel model, uint? seed, bool decays)
    {
        this.model = model;
        if (seed is { } value)
        {
            var random = new MersenneTwister(value);
            permutations = [.. Enumerable.Range(0, model.KeyValueHeads).Select(_ => random.Permutation(model.HeadDim))];
        }

        slopes = decays ? [.. Enumerable.Range(0, model.Heads).Select(h => -Math.Log(Ratio(h, model.Heads)))] : null;
    }

    /// <summary>The registry's line.</summary>
    public static MethodEntry Entry { get; } = new(
        "permute", "PermuteFormer: elements reordered by position instead of rotated, weights decay with distance.", "2109.02377",
        [
            SpecKey.Flag("permutation", true, "whether elements are reordered"),
            SpecKey.Flag("decay", true, "whether weights decay, by sigmoid(3h/H + 2) a token in head h"),
            SpecKey.Number("seed", 0, uint.MaxValue, 0xdeadbeef, "seed of the permutations (torch's generator)"),
        ],
        Create)
    {
        AltersAttention = true,
        EncodesWholeHeads = true,
        Vanilla = null,
        Exceptions = new Dictionary<PositionProperty, string> { [PositionProperty.VanillaAtFactorOne] = "it reorders instead of rotating" },
    };

    /// <inheritdoc/>
    public override Frequencies? RotaryFrequencies(int length) => null;

    /// <inheritdoc/>
    public override IReadOnlyList<Band> Bands(TokenPositions positions) =>
        [Band.Causal(permutations is null ? new Unchanged() : Reorder(positions), positions) with { BiasSlopes = slopes }];

    /// <summary>The factor on head h's weights per token of distance.</summary>
    internal static double Ratio(int head, int heads) => 1 / (1 + Math.Exp(-((3.0 * head / heads) + 2)));

    private static PermuteMethod Create(SpecPart part, PositionModel model)
    {
        var seed = part.Number("seed");
        if (seed != Math.Floor(seed))
        {
            throw new UserException($"'{part}': the seed must be a whole number");
        }

        return part.Flag("permutation") || part.Flag("decay")
            ? new PermuteMethod(model, part.Flag("permutation") ? (uint)seed : null, part.Flag("decay"))
            : throw new UserException($"'{part}' would leave attention without positions: set permutation or decay to true");
    }

    private Reordering Reorder(TokenPositions positions)
    {
        var within = positions.WithinDocument();
        var index = new int[permutations!.Length * within.Length * model.HeadDim];
        for (var head = 0; head < permutations.Length; head++)
        {
            var cycles = CyclesOf(permutations[head]);
            for (var token = 0; token < within.Length; token++)
            {
                Repeat(cycles, within[token], index.AsSpan(((head * within.Length) + token) * model.HeadDim, model.HeadDim));
            }
        }

        return new Reordering(index, null, permutations.Length, model.HeadDim);
    }

    // A power of a permutation moves each element along its cycle, so every position costs the same.
    private static void Repeat(IReadOnlyList<int[]> cycles, int times, Span<int> result)
    {
        foreach (var cycle in cycles)
        {
            for (var n = 0; n < cycle.Length; n++)
            {
                result[cycle[n]] = cycle[(n + times) % cycle.Length];
            }
        }
    }

    private static List<int[]> CyclesOf(int[] permutation)
    {
        var cycles = new List<int[]>();
        var seen = new bool[permutation.Length];
        for (var start = 0; start < permutation.Length; start++)
        {
            var cycle = new List<int>();
            for (var at = start; !seen[at]; at = permutation[at])
            {
                seen[at] = true;
                cycle.Add(at);
            }

            if (cycle.Count > 0)
            {
                cycles.Add([.. cycle]);
            }
        }

        return cycles;
    }
}

/// <summary>
/// The 32-bit Mersenne Twister (Matsumoto and Nishimura, 1998) with torch.randperm. PermuteFormer defines its permutations by
/// a seed of torch's CPU generator; with this class position methods do not need torch.
/// </summary>
internal sealed class MersenneTwister
{
    private const int Size = 624;
    private const int Middle = 397;
    private readonly uint[] state = new uint[Size];
    private int next = Size;

    /// <summary>Starts the generator from a seed.</summary>
    public MersenneTwister(uint seed)
    {
        state[0] = seed;
        for (var i = 1; i < Size; i++)
        {
            state[i] = (1812433253u * (state[i - 1] ^ (state[i - 1] >> 30))) + (uint)i;
        }
    }

    /// <summary>The next 32 random bits.</summary>
    public uint Next()
    {
        if (next == Size)
        {
            Twist();
        }

        var bits = state[next++];
        bits ^= bits >> 11;
        bits ^= (bits << 7) & 0x9d2c5680u;
        bits ^= (bits << 15) & 0xefc60000u;
        return bits ^ (bits >> 18);
    }

    /// <summary>torch.randperm(length): Fisher and Yates from the front.</summary>
    public int[] Permutation(int length)
    {
        var result = Enumerable.Range(0, length).ToArray();
        for (var i = 0; i < length - 1; i++)
        {
            var other = i + (int)(Next() % (uint)(length - i));
            (result[i], result[other]) = (result[other], result[i]);
        }

        return result;
    }

    private void Twist()
    {
        for (var i = 0; i < Size; i++)
        {
            var mixed = (state[i] & 0x80000000u) | (state[(i + 1) % Size] & 0x7fffffffu);
            state[i] = state[(i + Middle) % Size] ^ (mixed >> 1) ^ ((mixed & 1) == 0 ? 0 : 0x9908b0dfu);
        }

        next = 0;
    }
}
