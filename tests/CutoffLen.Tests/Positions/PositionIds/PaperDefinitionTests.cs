using CutoffLen.Positions;
using CutoffLen.Positions.PositionIds;

namespace CutoffLen.Tests.Positions.PositionIds;

/// <summary>Each position id sampler against its paper's definition, statistically where it is random.</summary>
public sealed class PaperDefinitionTests
{
    private const int Draws = 20_000;

    [Fact]
    public void Pose_cuts_at_a_uniform_token_and_shifts_the_second_chunk_by_a_uniform_bias()
    {
        var (length, target) = (9, 25);
        var firstLengths = new int[length - 1];
        var biases = new int[target - length + 1];
        foreach (var ids in Rows(new PoseSampler(), TokenPositions.Sequential(length), target))
        {
            Assert.Equal(0, ids[0]);
            var bias = ids[^1] - (length - 1);
            biases[bias]++;
            if (bias > 0)
            {
                var first = JumpsOf(ids).Single();
                firstLengths[first - 1]++;
                Assert.All(Enumerable.Range(0, length), i => Assert.Equal(i < first ? i : i + bias, ids[i]));
            }
        }

        Uniformity.Holds(biases);
        Uniformity.Holds(firstLengths);
    }

    [Fact]
    public void Pose_draws_each_bias_uniformly_from_the_one_before_it_up()
    {
        // u1 uniform in {0..4}; given u1, u2 uniform in {u1..4}.
        var (length, target) = (30, 34);
        var second = new int[5, 5];
        foreach (var ids in Rows(new PoseSampler(3), TokenPositions.Sequential(length), target))
        {
            var jumps = JumpsOf(ids).ToList();
            Assert.InRange(jumps.Count, 0, 2);
            if (jumps.Count == 2)
            {
                second[ids[jumps[0]] - jumps[0], ids[^1] - (length - 1)]++;
            }
        }

        // Both jumps seen means u1 > 0 and u2 > u1: uniform over the rest of the row.
        Uniformity.Holds([second[1, 2], second[1, 3], second[1, 4]]);
        Uniformity.Holds([second[2, 3], second[2, 4]]);
        Assert.InRange(second[3, 4] / (double)Draws, 0.08, 0.12); // 1/5 * 1/2
    }

    [Fact]
    public void Pose_never_has_more_chunks_than_asked_for_nor_than_tokens()
    {
        for (var chunks = 1; chunks <= 6; chunks++)
        {
            foreach (var ids in Rows(new PoseSampler(chunks), TokenPositions.Sequential(4), 50, 300))
            {
                Assert.InRange(JumpsOf(ids).Count(), 0, Math.Min(chunks, 4) - 1);
            }
        }
    }

    [Fact]
    public void Pose_covers_every_distance_of_the_target()
    {
        var seen = new HashSet<int>();
        foreach (var ids in Rows(new PoseSampler(), TokenPositions.Sequential(8), 32))
        {
            seen.UnionWith(from i in ids from j in ids where j > i select j - i);
        }

        Assert.Equal(Enumerable.Range(1, 31), seen.Order());
    }

    [Fact]
    public void Randomized_draws_every_set_of_positions_equally_often()
    {
        var sets = new Dictionary<string, int>();
        foreach (var ids in Rows(new RandomizedSampler(), TokenPositions.Sequential(3), 6))
        {
            var key = string.Join(',', ids);
            sets[key] = sets.GetValueOrDefault(key) + 1;
        }

        Assert.Equal(20, sets.Count); // 6 choose 3
        Uniformity.Holds([.. sets.Values]);
    }

    [Fact]
    public void Shape_moves_a_sequence_as_a_whole_by_up_to_target_minus_row()
    {
        var shifts = new int[16];
        foreach (var ids in Rows(new ShapeSampler(), TokenPositions.Packed([3, 2]), 20))
        {
            Assert.Equal([ids[0], ids[0] + 1, ids[0] + 2], ids[..3]);
            Assert.Equal(ids[3] + 1, ids[4]);
            shifts[ids[0]]++;
        }

        Uniformity.Holds(shifts); // 0..20-5: the row's length counts, not the document's
    }

    [Fact]
    public void Random_padding_puts_a_uniform_number_of_the_paddings_in_front()
    {
        var fronts = new int[18];
        var last = new int[20];
        foreach (var ids in Rows(new RandomPaddingSampler(), TokenPositions.Packed([3, 2]), 20))
        {
            Assert.Equal([ids[0], ids[0] + 1, ids[0] + 2], ids[..3]);
            fronts[ids[0]]++;
            last[ids[4]]++;
        }

        Uniformity.Holds(fronts); // 0..20-3: a document alone in a padded row
        Assert.True(last[19] > 0, "the rear position is never trained");
    }

    [Fact]
    public void Skip_align_skips_only_where_a_unit_begins()
    {
        int[] breaks = [4, 5, 11];
        var skipped = new HashSet<int>();
        var ends = new int[31];
        foreach (var ids in Rows(new SkipAlignSampler(1), TokenPositions.Sequential(14), 44, Draws, breaks))
        {
            var jumps = JumpsOf(ids).ToList();
            Assert.Subset(breaks.ToHashSet(), jumps.ToHashSet());
            skipped.UnionWith(jumps);
            ends[ids[^1] - 13]++;
        }

        Assert.Equal(breaks, skipped.Order());

        // The largest of three uniform draws from {0..30} is at most m with probability ((m + 1) / 31)^3.
        for (int m = 0, below = 0; m <= 30; m++)
        {
            below += ends[m];
            Assert.Equal(Math.Pow((m + 1) / 31.0, 3), below / (double)Draws, 0.02);
        }
    }

    [Fact]
    public void Skip_align_takes_each_border_with_its_probability()
    {
        // A wide target makes a skip of zero length too rare to matter.
        var counts = new int[4];
        foreach (var ids in Rows(new SkipAlignSampler(0.5), TokenPositions.Sequential(14), 1 << 24, Draws, [4, 5, 11]))
        {
            counts[JumpsOf(ids).Count()]++;
        }

        Assert.Equal(0, counts[0]);
        Assert.Equal(0.5, counts[1] / (double)Draws, 0.02); // 3/8 and the 1/8 of none, made one
        Assert.Equal(0.375, counts[2] / (double)Draws, 0.02);
        Assert.Equal(0.125, counts[3] / (double)Draws, 0.02);
    }

    [Fact]
    public void Skip_align_sees_only_the_borders_inside_a_document()
    {
        // 6 begins the second document, 0 the first: neither is a border within its document.
        foreach (var ids in Rows(new SkipAlignSampler(1), TokenPositions.Packed([6, 6]), 400, 500, [0, 2, 6, 8]))
        {
            Assert.Equal([0, 1], ids[..2]);
            Assert.Equal([0, 1], ids[6..8]);
            Assert.Equal(ids[2] + 3, ids[5]);
        }
    }

    private static IEnumerable<int[]> Rows(
        PositionIdSampler sampler, TokenPositions plain, int target, int draws = Draws, int[]? breaks = null) =>
        Enumerable.Range(0, draws).Select(step => sampler.Sample(plain, target, new(1, step, 0), breaks).Ids);

    private static IEnumerable<int> JumpsOf(int[] ids) => Enumerable.Range(1, ids.Length - 1).Where(i => ids[i] != ids[i - 1] + 1);
}
