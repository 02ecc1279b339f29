using CutoffLen.Positions;
using CutoffLen.Positions.Methods;

namespace CutoffLen.Tests.Positions.Methods;

/// <summary>xPos against five peers, whose tables have other centres and layouts; what they share is q.k.</summary>
public sealed class XposGoldenTests
{
    [Theory]
    [InlineData("torchscale-sunyt32")]
    [InlineData("torchscale-microsoft")]
    [InlineData("kaioken-xpos")]
    [InlineData("x-transformers")]
    [InlineData("rotary-embedding-torch")]
    public void Products_of_queries_and_keys_match(string source)
    {
        var inputs = GoldenTensors.Read("xpos_inputs.safetensors");
        var entries = GoldenFrequencies.All.Where(entry => entry.Method == "xpos" && entry.Source == source).ToArray();
        Assert.Equal(3, entries.Length);
        foreach (var entry in entries)
        {
            var suffix = $"{entry.Params["head_dim"]}_{entry.Params["scale_base"]}_{entry.Params["seq_len"]}";
            var dim = entry.Model.HeadDim;
            float[] Input(string name) => (string)entry.Entry["layout"]! == "half" ? inputs.Floats(name) : DenseAttention.HalvesOf(inputs.Floats(name), dim);
            var (q, k) = (Input($"q_{suffix}"), Input($"k_{suffix}"));
            var bands = new PositionSetup(entry.Spec(), entry.Model).Method.Bands(TokenPositions.Sequential(entry.Length));
            var attention = new DenseAttention(bands, q, k, k, 1, 1, dim);
            var positions = entry.Entry["positions"]!.AsArray().Select(p => (int)p!).ToArray();
            for (var row = 0; row < positions.Length; row++)
            {
                // Later keys are masked out in ours and have no score.
                for (var column = 0; column <= row; column++)
                {
                    var expected = (double)entry.Entry["qk_dots"]![row]![column]!;
                    Assert.Equal(expected, attention.Score(0, positions[row], positions[column]) * Math.Sqrt(dim), 2e-5);
                }
            }
        }
    }

    [Fact]
    public void Zeta_matches()
    {
        var entries = GoldenFrequencies.All.Where(entry => entry.Method == "xpos").ToArray();
        Assert.Equal(15, entries.Length);
        foreach (var entry in entries)
        {
            var zeta = entry.Entry["zeta"]!.AsArray();
            Assert.Equal(entry.Model.HeadDim / 2, zeta.Count);
            Assert.All(Enumerable.Range(0, zeta.Count), n => Assert.Equal((double)zeta[n]!, XposMethod.Zeta(n, entry.Model.HeadDim), 1e-7));
        }
    }

    [Theory]
    [InlineData(131_072, 512)]
    [InlineData(131_072, 2048)]
    [InlineData(16_384, 64)]
    public void Magnitudes_stay_far_from_the_ends_of_float32(int length, int scaleBase)
    {
        var model = new PositionModel(8, 10_000, 4096, 1, 1);
        var method = (XposMethod)new PositionSetup(PositionMethods.Parse($"xpos:scale_base={scaleBase}"), model).Method;
        var bands = method.Bands(TokenPositions.Sequential(length));
        Assert.Equal(((length - 1) / method.SpanLength) + 1, bands.Count);
        foreach (var table in bands.SelectMany(band => new[] { band.Queries, band.Keys }).Cast<Rotation>())
        {
            Assert.InRange(table.Cos.Max(Math.Abs), 0, 2e15);
            Assert.InRange(table.Sin.Max(Math.Abs), 0, 2e15);
        }
    }

    [Fact]
    public void Scores_across_spans_follow_the_formula()
    {
        const int Length = 1200;
        var model = new PositionModel(16, 10_000, 512, 1, 1);
        var method = (XposMethod)new PositionSetup(PositionMethods.Parse("xpos:scale_base=8"), model).Method;
        var bands = method.Bands(TokenPositions.Sequential(Length));
        Assert.True(bands.Count >= 3, $"{bands.Count} bands");
        var random = new Random(5);
        float[] vectors = [.. Enumerable.Range(0, Length * 16).Select(_ => (float)(random.NextDouble() - 0.5))];
        var attention = new DenseAttention(bands, vectors, vectors, vectors, 1, 1, 16);
        foreach (var (i, j) in new[] { (0, 0), (439, 438), (441, 439), (500, 300), (881, 435), (900, 430), (1199, 1100), (1199, 0) })
        {
            Assert.Equal(Formula(vectors, i, j), attention.Score(0, i, j), 1e-6);
        }
    }

    // sum over pairs of zeta^((i - j)/8) times the rotated product, with nothing split into tables.
    private static double Formula(float[] vectors, int i, int j)
    {
        var sum = 0.0;
        for (var n = 0; n < 8; n++)
        {
            double x = vectors[(i * 16) + n], y = vectors[(i * 16) + n + 8], u = vectors[(j * 16) + n], v = vectors[(j * 16) + n + 8];
            var angle = (i - j) * Math.Pow(10_000, -2.0 * n / 16);
            var decay = Math.Pow(XposMethod.Zeta(n, 16), (i - j) / 8.0);
            sum += decay * ((((x * u) + (y * v)) * Math.Cos(angle)) + (((x * v) - (y * u)) * Math.Sin(angle)));
        }

        return sum / Math.Sqrt(16);
    }
}
