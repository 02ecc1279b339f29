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

    /// <summary>
    /// The equation of clex_layer.py (commit 2e66996), written out line by line in Python's float64 with torchdiffeq's
    /// rk4_alt_step_func: rope_theta other than 10000, and equations wider than the head dimension.
    /// </summary>
    [Theory]
    [InlineData(2, 500_000.0, "silu", new[] { 1.013271914, 0.02644095762, 0.000681171887, 1.751781657e-05 }, new[] { 1.027852351, 0.02265204869, 0.0004858242629, 1.03767988e-05 })]
    [InlineData(3, 100.0, "tanh", new[] { 1.007887657, 0.2214938895, 0.0482240885, 0.0104695935 }, new[] { 1.016427999, 0.1889416141, 0.03443594701, 0.006236566449 })]
    public void Frequencies_of_other_bases_and_wider_equations_match(int factor, double rotaryBase, string act, double[] atTwo, double[] atThree)
    {
        var width = 8 * factor;
        var weights = new ClexWeights(
            [.. Enumerable.Range(0, 4 * width).Select(at => (float)(0.1 * Math.Sin(1 + at)))],
            [.. Enumerable.Range(0, 4 * width).Select(at => (float)(0.02 * Math.Cos(at)))], width);
        var model = new PositionModel(8, rotaryBase, 64, 1, 1) { Clex = weights };
        var method = (ClexMethod)new PositionSetup(PositionMethods.Parse($"clex:max_factor=3,time_dt=0.05,act={act},param_factor={factor}"), model).Method;
        Assert.All(atTwo.Zip(method.Frequencies(128).InverseFrequencies), pair => Assert.Equal(1, pair.Second / pair.First, 1e-6));
        Assert.All(atThree.Zip(method.Frequencies(192).InverseFrequencies), pair => Assert.Equal(1, pair.Second / pair.First, 1e-6));
    }

    [Fact]
    public void Without_weights_it_is_ntk_aware_scaling_by_twice_the_scale_less_one()
    {
        var model = new PositionModel(16, 500_000, 64, 4, 2);
        var method = (ClexMethod)new PositionSetup(PositionMethods.Parse("clex:max_factor=4,param_factor=2"), model).Method;
        Assert.Equal((32, 8 * 32), (method.Weights.Width, method.Weights.Up.Length));
        Assert.All(method.Weights.Up, weight => Assert.InRange(Math.Abs(weight), 0, 1 / Math.Sqrt(32)));
        for (var scale = 1; scale <= 4; scale++)
        {
            var expected = new NtkMethod(model, (2 * scale) - 1).Frequencies(0).InverseFrequencies;
            Assert.All(expected.Zip(method.Frequencies(64 * scale).InverseFrequencies), pair => Assert.Equal(1, pair.Second / pair.First, 1e-6));
        }
    }

    [Fact]
    public void Weights_of_another_model_or_width_are_an_error()
    {
        var other = new PositionModel(16, 10_000, 64, 4, 2) { Clex = Weights(32) };
        Assert.Contains("head dimension of 16", Assert.Throws<UserException>(() => new PositionSetup(PositionMethods.Parse("clex"), other).Method).Message, StringComparison.Ordinal);
        var wider = other with { Clex = Weights(16) };
        Assert.Contains("param_factor=2", Assert.Throws<UserException>(() => new PositionSetup(PositionMethods.Parse("clex:param_factor=2"), wider).Method).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("silu")]
    [InlineData("tanh")]
    public void The_gradient_of_the_weights_is_that_of_finite_differences(string act)
    {
        var (weights, logarithms) = (Weights(8), new double[] { 0, -2, -4, -7 });
        double[][] gradients = [[9, 9, 9, 9], [1, -2, 3, 0.5], [-0.3, 0.7, 1, 2]]; // those at t = 1 belong to no weight
        var found = Equation(weights).Backward(logarithms, gradients);
        var random = new Random(1);
        foreach (var (isUp, gradient) in new[] { (true, found.Up), (false, found.Down) })
        {
            var direction = gradient.Select(_ => (float)(random.NextDouble() - 0.5)).ToArray();
            var expected = (Value(1e-3f) - Value(-1e-3f)) / 2e-3;
            var actual = gradient.Zip(direction, (one, other) => (double)one * other).Sum();
            Assert.True(Math.Abs(expected) > 0.01);
            Assert.Equal(expected, actual, 1e-3 * Math.Abs(expected));

            double Value(float by)
            {
                float[] Moved(float[] values) => [.. values.Zip(direction, (value, d) => value + (by * d))];
                var moved = isUp ? weights with { Up = Moved(weights.Up) } : weights with { Down = Moved(weights.Down) };
                return Equation(moved).Integrate(logarithms, 3).Zip(gradients, (at, g) => at.Zip(g, (x, y) => x * y).Sum()).Sum();
            }
        }

        ClexEquation Equation(ClexWeights of) => new(8, of, act == "silu", 0.1);
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
