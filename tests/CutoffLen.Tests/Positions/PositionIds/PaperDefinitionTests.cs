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
    public void Shape_shifts_by_up_to_its_largest_shift_where_that_is_less()
    {
        var shifts = new int[5];
        foreach (var ids in Rows(PositionIdSamplers.Parse("shape:max_shift=4"), TokenPositions.Sequential(3), 20))
        {
            shifts[ids[0]]++;
        }

        Uniformity.Holds(shifts);
        Assert.All(Rows(PositionIdSamplers.Parse("shape:max_shift=4"), TokenPositions.Sequential(3), 4, 100), ids => Assert.InRange(ids[0], 0, 1));
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

    [Fact]
    public void Cream_puts_head_and_tail_at_the_targets_ends_and_the_middle_around_the_targets_middle()
    {
        // Factor 2: head and tail are 40 tokens or 4 * 2. Counts of the middle's last position, by the length of head and tail.
        var lasts = new Dictionary<int, int[]> { [8] = new int[240], [40] = new int[240] };
        foreach (var ids in Rows(new CreamSampler(), TokenPositions.Sequential(120), 240))
        {
            var ends = ids[39] == 39 && ids[80] == 200 ? 40 : 8;
            Assert.Equal(Enumerable.Range(0, ends), ids[..ends]);
            Assert.Equal(Enumerable.Range(240 - ends, ends), ids[^ends..]);
            Assert.Equal(Enumerable.Range(ids[ends], 120 - (2 * ends)), ids[ends..^ends]);
            lasts[ends][ids[119 - ends]]++;
        }

        Assert.Equal(0.5, lasts[40].Sum() / (double)Draws, 0.02);
        // N(3, 9), clamped to [2, 4] and floored, is 2, 3 and 4 with these probabilities. The last position of the middle is
        // then 79 alone, one of 98..139 and one of 118..199.
        var (three, four) = (0.1306, 0.3694);
        double Share(int from, int to) => lasts[40][from..(to + 1)].Sum() / (double)lasts[40].Sum();
        Assert.Equal(0.5, Share(79, 79), 0.03);
        Assert.Equal(three * 20 / 42, Share(98, 117), 0.02);
        Assert.Equal((three * 22 / 42) + (four * 22 / 82), Share(118, 139), 0.02);
        Assert.Equal(four * 60 / 82, Share(140, 199), 0.03);
        Uniformity.Holds(lasts[40][140..200]);
    }

    [Fact]
    public void A_small_sigma_keeps_creams_middle_around_the_targets_middle()
    {
        // Factor 2.5: the draw is 3.5 and floored to 3. The middle's last position is one of 23..34 (head and tail of 10 tokens)
        // or of 27..36 (8 tokens); the token in its midst is 4 or 6 before that.
        var midst = Rows(new CreamSampler(1e-3), TokenPositions.Sequential(30), 75, 2000).Select(ids => ids[15]).ToHashSet();
        Assert.Equal(Enumerable.Range(19, 12), midst.Order());
    }

    [Fact]
    public void Long_recipe_puts_sentences_and_skipped_positions_into_a_random_order()
    {
        // Two sentences, 0..2 and 3, and 6 skipped positions: with the slots of both sentences a uniform pair out of 8, the
        // second one's is s + 1 in s + 1 of the 28 pairs, and s positions are skipped before it.
        var skipped = new int[7];
        foreach (var ids in Rows(new LongRecipeSampler(), TokenPositions.Sequential(4), 10, Draws, [3]))
        {
            Assert.Equal([0, 1, 2], ids[..3]);
            skipped[ids[3] - 3]++;
        }

        for (var s = 0; s < 7; s++)
        {
            Assert.Equal((s + 1) / 28.0, skipped[s] / (double)Draws, 0.015);
        }
    }

    [Fact]
    public void Long_recipe_keeps_a_random_number_of_start_tokens_in_place()
    {
        // A sentence each, and a target so large that a skip of no position is too rare to matter.
        var kept = new int[5];
        foreach (var ids in Rows(new LongRecipeSampler(), TokenPositions.Sequential(9), 2000, 2000, [1, 2, 3, 4, 5, 6, 7, 8]))
        {
            var plain = ids.TakeWhile((id, i) => id == i).Count();
            kept[Math.Min(plain, 5) - 1]++;
        }

        Uniformity.Holds(kept); // 1..(9 + 1) / 2
    }

    private static IEnumerable<int[]> Rows(
        PositionIdSampler sampler, TokenPositions plain, int target, int draws = Draws, int[]? breaks = null) =>
        Enumerable.Range(0, draws).Select(step => sampler.Sample(plain, target, new(1, step, 0), breaks).Ids);

    private static IEnumerable<int> JumpsOf(int[] ids) => Enumerable.Range(1, ids.Length - 1).Where(i => ids[i] != ids[i - 1] + 1);
}
