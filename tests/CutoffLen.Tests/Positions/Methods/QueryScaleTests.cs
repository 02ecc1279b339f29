using CutoffLen.Positions;
using CutoffLen.Positions.Methods;

namespace CutoffLen.Tests.Positions.Methods;

/// <summary>The factors of queries, against numbers of the published formulas computed in Python.</summary>
public sealed class QueryScaleTests
{
    private static readonly PositionModel Model = new(8, 10_000, 32, 4, 2);

    // 1 + 0.1 log(1 + floor(pos / 32)), _get_llama_4_attn_scale of transformers' modeling_ministral3.py.
    [Theory]
    [InlineData("rope+temperature", 0, 1)]
    [InlineData("rope+temperature", 31, 1)]
    [InlineData("rope+temperature", 32, 1.0693147180559945)]
    [InlineData("rope+temperature", 63, 1.0693147180559945)]
    [InlineData("rope+temperature", 64, 1.109861228866811)]
    [InlineData("rope+temperature", 1000, 1.3465735902799727)]
    [InlineData("rope+temperature", 100_000, 1.8047509510981423)]
    // The same with beta 0.2 and steps of 64 tokens: 1 + 0.2 log 2.
    [InlineData("rope+temperature:beta=0.2,original=64", 64, 1.138629436111989)]
    [InlineData("rope+temperature:beta=0", 100_000, 1)]
    // log1p(floor((pos + 1) / 8192)) * 0.1 + 1, transformers' modeling_llama4.py.
    [InlineData("nope+temperature:form=llama4", 8190, 1)]
    [InlineData("nope+temperature:form=llama4", 8191, 1.0693147180559945)]
    [InlineData("nope+temperature:form=llama4", 100_000, 1.2564949357461537)]
    [InlineData("alibi+temperature:form=llama4,original=32", 31, 1.0693147180559945)]
    // max(1, log(pos + 1) / log(4096)), GAIR-NLP/Entropy-ABF patch/EABF.py.
    [InlineData("rope+logn:original=4096", 4095, 1)]
    [InlineData("rope+logn:original=4096", 8191, 1.0833333333333333)]
    [InlineData("rope+logn:original=4096", 100_000, 1.384137908442924)]
    public void Queries_have_the_published_factor_and_keys_none(string spec, int position, double scale)
    {
        var band = Assert.Single(new PositionSetup(PositionMethods.Parse(spec), Model).Method.Bands(new TokenPositions([0, position])));
        Assert.Equal(1, Norm(band.Queries, 0), 1e-6);
        Assert.Equal(scale, Norm(band.Queries, 1), 1e-6);
        Assert.All([0, 1], token => Assert.Equal(1, Norm(band.Keys, token), 1e-6));
    }

    [Fact]
    public void Each_document_of_a_row_begins_at_1()
    {
        var band = Assert.Single(new PositionSetup(PositionMethods.Parse("rope+temperature"), Model).Method.Bands(new TokenPositions([0, 40, 50, 81, 82], [0, 2])));
        Assert.Equal([1, 1.06931472, 1, 1, 1.06931472], Enumerable.Range(0, 5).Select(token => Math.Round(Norm(band.Queries, token), 6)), (a, b) => Math.Abs(a - b) < 1e-5);
    }

    private static double Norm(PositionEncoding encoding, int token) => encoding is Rotation table
        ? Math.Sqrt(Math.Pow(table.Cos[(token * table.HalfDim) + 1], 2) + Math.Pow(table.Sin[(token * table.HalfDim) + 1], 2))
        : 1;
}
