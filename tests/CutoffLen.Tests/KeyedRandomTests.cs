using CutoffLen.Common;

namespace CutoffLen.Tests;

public sealed class KeyedRandomTests
{
    [Fact]
    public void The_same_seed_purpose_and_keys_give_the_same_numbers()
    {
        var (a, b) = (new KeyedRandom(7, "shuffle", 1, 2), new KeyedRandom(7, "shuffle", 1, 2));
        for (var i = 0; i < 100; i++)
        {
            Assert.Equal(a.NextBits(), b.NextBits());
        }
    }

    [Fact]
    public void Seed_purpose_keys_and_their_order_all_change_the_stream()
    {
        KeyedRandom[] streams =
        [
            new(7, "shuffle", 1, 2), new(8, "shuffle", 1, 2), new(7, "shuffl", 1, 2), new(7, "shuffle", 2, 1),
            new(7, "shuffle", 1), new(7, "shuffle", 1, 2, 0), new(-7, "shuffle", 1, 2), new(0, ""),
        ];
        var first = new HashSet<ulong>();
        for (var i = 0; i < streams.Length; i++)
        {
            Assert.True(first.Add(streams[i].NextBits()));
        }
    }

    [Fact]
    public void The_numbers_never_change_between_versions()
    {
        // Recorded once: runs of an older build must be resumed with the order they began with.
        var random = new KeyedRandom(42, "shuffle", 3);
        Assert.Equal([6745164208742329412, 1866915498224593428], new[] { random.NextBits(), random.NextBits() });
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    [InlineData(7)]
    [InlineData(64)]
    public void Whole_numbers_below_a_count_are_uniform(int count)
    {
        var random = new KeyedRandom(1, "test", count);
        var counts = new int[count];
        for (var i = 0; i < 2_000 * count; i++)
        {
            counts[random.Below(count)]++;
        }

        if (count > 1)
        {
            Uniformity.Holds(counts);
        }
        else
        {
            Assert.Equal(2_000, counts[0]);
        }
    }

    [Fact]
    public void Large_ranges_have_no_low_bias()
    {
        // With a range of 3/4 of 2^63 a plain modulo would favour the lower third.
        var random = new KeyedRandom(1, "large");
        var range = 3L << 61;
        var thirds = new int[3];
        for (var i = 0; i < 30_000; i++)
        {
            thirds[random.Below(range) / (range / 3)]++;
        }

        Uniformity.Holds(thirds);
    }

    [Fact]
    public void Unit_numbers_lie_from_0_to_1_and_are_uniform()
    {
        var random = new KeyedRandom(1, "unit");
        var tenths = new int[10];
        for (var i = 0; i < 20_000; i++)
        {
            tenths[(int)(random.NextUnit() * 10)]++;
        }

        Uniformity.Holds(tenths);
    }

    [Fact]
    public void Every_order_of_a_shuffle_is_equally_likely()
    {
        var orders = new Dictionary<string, int>();
        for (var i = 0; i < 24_000; i++)
        {
            var letters = "abcd".ToCharArray();
            new KeyedRandom(5, "order", i).Shuffle(letters.AsSpan());
            orders[new string(letters)] = orders.GetValueOrDefault(new string(letters)) + 1;
        }

        Assert.Equal(24, orders.Count);
        Uniformity.Holds([.. orders.Values]);
    }
}
