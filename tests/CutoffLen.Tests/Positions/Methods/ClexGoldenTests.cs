using System.Globalization;
using System.Text.Json.Nodes;
using CutoffLen.Common;
using CutoffLen.Positions;
using CutoffLen.Positions.Methods;

namespace CutoffLen.Tests.Positions.Methods;

/// <summary>CLEX's frequencies and tables against its authors' code with torchdiffeq.</summary>
public sealed class ClexGoldenTests
{
    private static readonly GoldenTensors Tensors = GoldenTensors.Read("clex.safetensors");
    private static readonly JsonArray Entries = JsonNode.Parse(File.ReadAllText(Golden.Path("clex.json")))!["cases"]!.AsArray();

    public static TheoryData<string> Cases => [.. Entries.Select(entry => (string)entry!["case"]!)];

    /// <summary>Small weights for a model of any head dimension.</summary>
    public static ClexWeights Weights(int headDim)
    {
        var random = new Random(headDim);
        float[] Draw(double size) => [.. Enumerable.Range(0, headDim / 2 * headDim).Select(_ => (float)(size * (random.NextDouble() - 0.5)))];
        return new ClexWeights(Draw(0.1), Draw(0.1), headDim);
    }

    [Fact]
    public void There_are_three_cases() => Assert.Equal(3, Entries.Count);

    [Theory]
    [MemberData(nameof(Cases))]
    public void Frequencies_at_every_scale_match(string name)
    {
        var (method, parameters) = Create(name);
        var half = (int)parameters["head_dim"]! / 2;
        var expected = Tensors.Floats($"{name}.inv_freq_t");
        Assert.Equal((int)parameters["max_factor"]! * half, expected.Length);
        for (var at = 0; at < expected.Length; at++)
        {
            var length = (int)parameters["max_position_embeddings"]! * ((at / half) + 1);
            var actual = method.Frequencies(length).InverseFrequencies[at % half];
            // Hundreds of float32 steps in the peer.
            Assert.True(Math.Abs((actual / expected[at]) - 1) < 2e-5, $"t = {(at / half) + 1}, pair {at % half}: {actual:R} instead of {expected[at]:R}");
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Tables_match(string name)
    {
        var (method, parameters) = Create(name);
        var headDim = (int)parameters["head_dim"]!;
        var tables = Entries.Single(entry => (string)entry!["case"]! == name)!["tables"]!.AsObject();
        Assert.Equal(7, tables.Count);
        foreach (var (length, table) in tables)
        {
            var positions = table!["positions"]!.AsArray().Select(p => (int)p!).ToArray();
            var (shape, expected) = (Tensors.Shape($"{name}.cos_sin_seq{length}"), Tensors.Floats($"{name}.cos_sin_seq{length}"));
            Assert.Equal([2, positions.Length, headDim], shape);
            int[] row = positions[^1] == int.Parse(length, CultureInfo.InvariantCulture) - 1 ? positions : [.. positions, int.Parse(length, CultureInfo.InvariantCulture) - 1];
            var rotation = Assert.IsType<Rotation>(Assert.Single(method.Bands(new TokenPositions(row))).Queries);
            for (var at = 0; at < expected.Length; at++)
            {
                var (isSin, line, column) = (at / (positions.Length * headDim) == 1, at / headDim % positions.Length, at % (headDim / 2));
                var actual = (isSin ? rotation.Sin : rotation.Cos)[(line * headDim / 2) + column];
                // Some of the learned frequencies are above a hundred radians a token.
                var angle = positions[line] * Math.Max(1, method.Frequencies(int.Parse(length, CultureInfo.InvariantCulture)).InverseFrequencies[column]);
                Assert.True(Math.Abs(actual - expected[at]) <= 1e-5 + (2e-6 * angle), $"{length} tokens, element {at}: {actual} instead of {expected[at]}");
            }
        }
    }

    [Fact]
    public void Without_weights_or_with_those_of_another_model_it_is_an_error()
    {
        var model = new PositionModel(16, 10_000, 64, 4, 2);
        Assert.Contains("needs a checkpoint", Assert.Throws<UserException>(() => new PositionSetup(PositionMethods.Parse("clex"), model).Method).Message, StringComparison.Ordinal);
        var other = model with { Clex = Weights(32) };
        Assert.Contains("head dimension of 16", Assert.Throws<UserException>(() => new PositionSetup(PositionMethods.Parse("clex"), other).Method).Message, StringComparison.Ordinal);
    }

    private static (FrequencyMethod Method, JsonNode Parameters) Create(string name)
    {
        var parameters = Entries.Single(entry => (string)entry!["case"]! == name)!["params"]!;
        var weights = new ClexWeights(Tensors.Floats($"{name}.up"), Tensors.Floats($"{name}.down"), Tensors.Shape($"{name}.up")[1]);
        var model = new PositionModel((int)parameters["head_dim"]!, (double)parameters["base"]!, (int)parameters["max_position_embeddings"]!, 1, 1) { Clex = weights };
        var spec = $"clex:max_factor={parameters["max_factor"]},time_dt={parameters["time_dt"]},act={parameters["act"]}";
        return ((FrequencyMethod)new PositionSetup(PositionMethods.Parse(spec), model).Method, parameters);
    }
}
