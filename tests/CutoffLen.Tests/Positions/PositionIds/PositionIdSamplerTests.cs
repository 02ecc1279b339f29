using System.Text.Json;
using CutoffLen.Common;
using CutoffLen.Positions;
using CutoffLen.Positions.Methods;
using CutoffLen.Positions.PositionIds;

namespace CutoffLen.Tests.Positions.PositionIds;

public sealed class PositionIdSamplerTests
{
    private const int Target = 64;

    public static TheoryData<string> All() => [.. PositionIdSamplers.Names];

    [Theory]
    [MemberData(nameof(All))]
    public void Ids_keep_their_order_and_documents_and_stay_below_the_target(string spec)
    {
        var plain = TokenPositions.Packed([10, 1, 7, 2]);
        for (var step = 0; step < 300; step++)
        {
            var sampled = PositionIdSamplers.Parse(spec).Sample(plain, Target, new(3, step, 0), [2, 5, 12, 13]);
            Assert.Equal(plain.DocumentStarts, sampled.DocumentStarts);
            Assert.True(sampled.Extent <= Target, $"extent {sampled.Extent}");
            for (var d = 0; d < 4; d++)
            {
                var (start, end) = sampled.Document(d);
                for (var i = start + 1; i < end; i++)
                {
                    Assert.True(sampled.Ids[i] > sampled.Ids[i - 1], "two tokens of a document have one position id");
                }
            }
        }
    }

    [Theory]
    [MemberData(nameof(All))]
    public void A_row_is_a_pure_function_of_seed_step_and_sequence(string spec)
    {
        var plain = TokenPositions.Packed([12, 9]);
        var positions = PositionIdSamplers.Parse(spec);
        var rows = new List<int[]>();
        foreach (var draw in new PositionDraw[] { new(1, 2, 3), new(9, 2, 3), new(1, 9, 3), new(1, 2, 9), new(1, 3, 2) })
        {
            rows.Add(positions.Sample(plain, 4096, draw).Ids);
        }

        Assert.Equal(rows[0], PositionIdSamplers.Parse(spec).Sample(plain, 4096, new(1, 2, 3)).Ids);
        Assert.Equal(spec == "plain" ? 1 : 5, rows.Select(ids => string.Join(' ', ids)).Distinct().Count());
    }

    [Theory]
    [MemberData(nameof(All))]
    public void A_document_as_long_as_the_target_is_left_as_it_is(string spec)
    {
        var plain = TokenPositions.Sequential(32);
        Assert.Equal(plain.Ids, PositionIdSamplers.Parse(spec).Sample(plain, 32, new(1, 2, 3), [4, 9]).Ids);
    }

    [Theory]
    [MemberData(nameof(All))]
    public void Padding_keeps_its_ids(string spec)
    {
        var plain = new TokenPositions([0, 1, 2, 0, 0, 0], [0, 3, 4, 5]);
        for (var step = 0; step < 50; step++)
        {
            var ids = PositionIdSamplers.Parse(spec).Sample(plain, 512, new(1, step, 0), padding: 3).Ids;
            Assert.Equal([0, 0, 0], ids[3..]);
        }
    }

    [Theory]
    [MemberData(nameof(All))]
    public void A_target_shorter_than_the_row_is_refused(string spec) => Assert.Throws<ArgumentException>(
        () => PositionIdSamplers.Parse(spec).Sample(TokenPositions.Sequential(9), 8, new(1, 2, 3)));

    [Theory]
    [MemberData(nameof(All))]
    public void An_empty_row_stays_empty(string spec) =>
        Assert.Empty(PositionIdSamplers.Parse(spec).Sample(new TokenPositions([]), 8, new(1, 2, 3)).Ids);

    [Fact]
    public void Documents_of_a_row_are_sampled_independently()
    {
        var plain = TokenPositions.Packed([8, 8]);
        var equal = Enumerable.Range(0, 200).Count(step =>
        {
            var ids = new ShapeSampler().Sample(plain, 1000, new(1, step, 0)).Ids;
            return ids[0] == ids[8];
        });
        Assert.InRange(equal, 0, 3);
    }

    [Theory]
    [InlineData("plian", "plain, pose, randomized, shape, random-padding, skip-align, cream, longrecipe, clex")]
    [InlineData("pose:chunk=2", "'chunk'")]
    [InlineData("pose:chunks=0", "from 1 to 1000")]
    [InlineData("pose:chunks=2.5", "whole number")]
    [InlineData("pose:chunks=2,chunks=3", "once")]
    [InlineData("pose:", "chunks=2")]
    [InlineData("plain:x=1", "none")]
    [InlineData("skip-align:rate=0", "rate=0")]
    [InlineData("skip-align:rate=nan", "rate=nan")]
    [InlineData("cream:sigma=0", "sigma=0")]
    [InlineData("longrecipe:rate=1", "none")]
    [InlineData("", "plain")]
    public void A_wrong_spec_is_answered_with_what_is_allowed(string spec, string expected) =>
        Assert.Contains(expected, Assert.Throws<UserException>(() => PositionIdSamplers.Parse(spec)).Message);

    [Fact]
    public void Rotating_at_randomized_positions_gives_what_the_authors_code_gives()
    {
        using var golden = JsonDocument.Parse(File.ReadAllText(Golden.Path("randomized_rope.json")));
        var cases = golden.RootElement.GetProperty("cases").EnumerateArray().ToList();
        Assert.NotEmpty(cases);
        foreach (var one in cases)
        {
            var headDim = one.GetProperty("head_dim").GetInt32();
            var positions = new TokenPositions(one.GetProperty("positions").Deserialize<int[]>()!);
            Assert.True(positions.Extent <= one.GetProperty("noise_max_length").GetInt32());
            var model = new PositionModel(headDim, 10_000, 64, 2, 2);
            var rotation = (Rotation)new RopeMethod(model).Bands(positions)[0].Queries;
            var x = one.GetProperty("x").Deserialize<double[][]>()!;
            var rotated = one.GetProperty("rotated").Deserialize<double[][]>()!;
            for (var t = 0; t < positions.Length; t++)
            {
                for (var e = 0; e < x[t].Length; e += 2)
                {
                    // The authors pair neighbours (2n, 2n + 1) where Hugging Face pairs halves.
                    var at = (t * rotation.HalfDim) + (e % headDim / 2);
                    var (cos, sin) = (rotation.Cos[at], rotation.Sin[at]);
                    Assert.Equal(rotated[t][e], (x[t][e] * cos) - (x[t][e + 1] * sin), 1e-5);
                    Assert.Equal(rotated[t][e + 1], (x[t][e + 1] * cos) + (x[t][e] * sin), 1e-5);
                }
            }
        }
    }
}
