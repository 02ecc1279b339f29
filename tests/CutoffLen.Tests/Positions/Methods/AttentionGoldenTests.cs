using System.Globalization;
using System.Text.Json.Nodes;
using CutoffLen.Positions;
using CutoffLen.Positions.Methods;

namespace CutoffLen.Tests.Positions.Methods;

/// <summary>Attention as our bands define it, computed pair by pair, against what the authors' own forward gives.</summary>
public sealed class AttentionGoldenTests
{
    private const int Heads = 4;
    private const int KeyValueHeads = 2;
    private const int HeadDim = 32;
    private const int Length = 96;

    private static readonly GoldenTensors Inputs = GoldenTensors.Read("attention_inputs.safetensors");
    private static readonly GoldenTensors Expected = GoldenTensors.Read("attention.safetensors");
    private static readonly JsonNode Json = JsonNode.Parse(File.ReadAllText(Golden.Path("attention.json")))!;

    public static TheoryData<string> Cases => [.. GoldenSpecs.Attention.Select(golden => golden.Case)];

    [Fact]
    public void Every_case_of_the_file_has_a_spec() =>
        Assert.Equal(Json["cases"]!.AsArray().Select(entry => (string)entry!["case"]!), GoldenSpecs.Attention.Select(golden => golden.Case));

    [Theory]
    [MemberData(nameof(Cases))]
    public void Outputs_and_weights_match(string name)
    {
        var golden = GoldenSpecs.Attention.Single(golden => golden.Case == name);
        var attention = Attention(golden);
        var isLinear = golden.Spec.StartsWith("permute", StringComparison.Ordinal);
        double[] WeightsOf(int head, int row) => isLinear ? attention.LinearWeights(head, row) : Rounded(attention.Weights(head, row), row, golden);
        var rows = Json["out_rows"]!.AsArray().Select(row => (int)row!).ToArray();
        var tolerance = golden.Tolerance ?? 1e-5;
        Compare(Expected.Floats($"{name}.out"), rows, (head, row) => attention.Output(head, WeightsOf(head, row)), HeadDim, tolerance);
        if (Expected.Has($"{name}.weights"))
        {
            var weightRows = Entry(name)["weight_rows"]!.AsArray().Select(row => (int)row!).ToArray();
            Compare(Expected.Floats($"{name}.weights"), weightRows, WeightsOf, Length, tolerance);
        }

        if (Expected.Has($"{name}.decode_out"))
        {
            Assert.False(isLinear);
            // A cached step takes one softmax over all of the row.
            Compare(Expected.Floats($"{name}.decode_out"), [Length - 1], (head, row) => attention.Output(head, attention.Weights(head, row, golden.EarlierKeys)), HeadDim, tolerance);
        }
    }

    [Theory]
    [InlineData("permuteformer_permute")]
    [InlineData("permuteformer_permute-r")]
    public void Permutations_are_those_of_the_authors(string name)
    {
        var model = new PositionModel(HeadDim, 10_000, 64, Heads, Heads);
        var band = Assert.Single(new PositionSetup(PositionMethods.Parse("permute"), model).Method.Bands(TokenPositions.Sequential(Length)));
        var reordering = Assert.IsType<Reordering>(band.Queries);
        int[] At(int token) => [.. Enumerable.Range(0, Heads).SelectMany(head => reordering.Index.Skip(((head * Length) + token) * HeadDim).Take(HeadDim))];
        Assert.Equal(Enumerable.Range(0, Heads).SelectMany(_ => Enumerable.Range(0, HeadDim)), At(0));
        Assert.Equal(Expected.Ints($"{name}.permutation_step"), At(1));
        Assert.Equal(Expected.Ints($"{name}.permutation_at_last"), At(Length - 1));
    }

    [Fact]
    public void Permute_keeps_the_authors_shares()
    {
        var ratios = Entry("permuteformer_permute")["params"]!["ratio"]!.AsArray();
        Assert.Equal(Heads, ratios.Count);
        Assert.All(Enumerable.Range(0, Heads), head => Assert.Equal((double)ratios[head]!, PermuteMethod.Ratio(head, Heads), 1e-7));
    }

    [Fact]
    public void Alibi_slopes_match_three_peers_for_every_head_count()
    {
        var counts = JsonNode.Parse(File.ReadAllText(Golden.Path("alibi_slopes.json")))!["slopes"]!.AsObject();
        Assert.Equal(12, counts.Count);
        foreach (var (heads, peers) in counts)
        {
            Assert.Equal(3, peers!.AsObject().Count);
            foreach (var (peer, slopes) in peers.AsObject())
            {
                var expected = slopes!.AsArray().Select(slope => (double)slope!).ToArray();
                var actual = AlibiMethod.Slopes(int.Parse(heads, CultureInfo.InvariantCulture));
                Assert.Equal(expected.Length, actual.Length);
                Assert.All(expected.Zip(actual), pair => Assert.True(Math.Abs((pair.Second / pair.First) - 1) < 1e-6, $"{heads} heads, {peer}: {pair}"));
            }
        }
    }

    private static JsonNode Entry(string name) => Json["cases"]!.AsArray().Single(entry => (string)entry!["case"]! == name)!;

    private static DenseAttention Attention(GoldenSpec golden)
    {
        var isInterleaved = (string?)Entry(golden.Case)["params"]!["layout"] == "interleaved";
        float[] Read(string name) => isInterleaved && name != "v" ? DenseAttention.HalvesOf(Inputs.Floats(name), HeadDim) : Inputs.Floats(name);
        // PermuteFormer has a permutation for every query head, so its keys are repeated as the peer's were.
        var keyValueHeads = golden.Spec.StartsWith("permute", StringComparison.Ordinal) ? Heads : KeyValueHeads;
        float[] Repeat(float[] values) => keyValueHeads == KeyValueHeads ? values : [.. values.Chunk(Length * HeadDim).SelectMany(head => head.Concat(head))];
        var model = new PositionModel(HeadDim, 10_000, 64, Heads, keyValueHeads);
        var bands = golden.Create(model).Bands((golden with { Length = Length }).Positions);
        return new DenseAttention(bands, Read("q"), Repeat(Read("k")), Repeat(Read("v")), Heads, keyValueHeads, HeadDim);
    }

    /// <summary>
    /// The weights as a peer has them that attends to the row's own chunk, the one before and all older ones by themselves, and adds
    /// the three up by their shares in bfloat16.
    /// </summary>
    private static double[] Rounded(double[] weights, int row, GoldenSpec golden)
    {
        if (golden.RoundsSharesOfChunks is not { } chunk || row < chunk)
        {
            return weights;
        }

        int Part(int token) => Math.Min((row / chunk) - (token / chunk), 2);
        var shares = weights.Index().Where(pair => pair.Index <= row).GroupBy(pair => Part(pair.Index), pair => pair.Item).ToDictionary(part => part.Key, part => part.Sum());
        return [.. weights.Select((weight, token) => token > row ? weight : weight * Bfloat16(shares[Part(token)]) / shares[Part(token)])];
    }

    // To the nearest, ties to even; of a number between 0 and 1.
    private static double Bfloat16(double value)
    {
        var bits = BitConverter.SingleToUInt32Bits((float)value);
        return BitConverter.UInt32BitsToSingle((bits + 0x7fff + ((bits >> 16) & 1)) & 0xffff0000);
    }

    private static void Compare(float[] expected, int[] rows, Func<int, int, double[]> actual, int width, double tolerance)
    {
        Assert.Equal(Heads * rows.Length * width, expected.Length);
        for (var head = 0; head < Heads; head++)
        {
            for (var at = 0; at < rows.Length; at++)
            {
                var ours = actual(head, rows[at]);
                for (var d = 0; d < width; d++)
                {
                    var theirs = expected[(((head * rows.Length) + at) * width) + d];
                    Assert.True(Math.Abs(ours[d] - theirs) <= tolerance, $"head {head}, row {rows[at]}, element {d}: {ours[d]} instead of {theirs}");
                }
            }
        }
    }
}
