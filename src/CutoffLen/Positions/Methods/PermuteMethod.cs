using CutoffLen.Common;
using CutoffLen.Positions.Spec;

namespace CutoffLen.Positions.Methods;

/// <summary>
/// PermuteFormer (arXiv 2109.02377): at position i the elements of queries and keys are reordered by a random permutation
/// applied i times, a different one for each head, and attention weights decay by ratio_h^distance. The paper's attention
/// is linear; here, under softmax, the decay of weights is a bias of distance * ln(ratio_h) on scores, which is the same.
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
        Vanilla = null,
        Exceptions = new Dictionary<PositionTheory, string> { [PositionTheory.VanillaAtFactorOne] = "it reorders instead of rotating" },
    };

    /// <inheritdoc/>
    public override Frequencies? RotaryFrequencies(int length) => null;

    /// <inheritdoc/>
    public override IReadOnlyList<Band> Bands(TokenPositions positions) =>
        [Band.Causal(permutations is null ? new Unchanged() : Reorder(positions), positions) with { BiasSlopes = slopes }];

    /// <summary>What head h's weights keep a token of distance.</summary>
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

    // Applying a permutation many times moves each element along its cycle; so any position costs the same.
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
