using System.Numerics;

namespace CutoffLen.Common;

/// <summary>
/// Random numbers that are a pure function of a seed, a purpose and keys (epoch, step, sequence, ...). No state outlives
/// a draw, so a resumed run draws what an undisturbed one does. The generator is xoshiro256** (Blackman and Vigna,
/// arXiv 1805.01407), seeded by SplitMix64 over the keys: the same numbers on every machine and .NET.
/// </summary>
public struct KeyedRandom
{
    private ulong s0;
    private ulong s1;
    private ulong s2;
    private ulong s3;

    /// <summary>Starts the stream that belongs to these keys.</summary>
    /// <param name="seed">The run's seed.</param>
    /// <param name="purpose">What the numbers are for; different purposes are independent under one seed.</param>
    /// <param name="keys">Epoch, step, sequence, ...; (1, 2) and (2, 1) are different streams.</param>
    public KeyedRandom(long seed, string purpose, params ReadOnlySpan<long> keys)
    {
        var state = Mix((ulong)seed);
        foreach (var letter in purpose)
        {
            state = Mix(state ^ letter);
        }

        foreach (var key in keys)
        {
            state = Mix(state ^ Mix((ulong)key));
        }

        (s0, s1, s2, s3) = (SplitMix(ref state), SplitMix(ref state), SplitMix(ref state), SplitMix(ref state));
    }

    /// <summary>64 uniform bits.</summary>
    public ulong NextBits()
    {
        var result = BitOperations.RotateLeft(s1 * 5, 7) * 9;
        var shifted = s1 << 17;
        s2 ^= s0;
        s3 ^= s1;
        s1 ^= s2;
        s0 ^= s3;
        s2 ^= shifted;
        s3 = BitOperations.RotateLeft(s3, 45);
        return result;
    }

    /// <summary>A whole number from 0 to <paramref name="count"/> - 1, each equally likely; count at least 1.</summary>
    public long Below(long count)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(count, 1);

        // Lemire, arXiv 1805.10941: the high word of a 128-bit product, with the few biased low words drawn again.
        var range = (ulong)count;
        var high = Math.BigMul(NextBits(), range, out var low);
        if (low < range)
        {
            var biased = unchecked(0 - range) % range;
            while (low < biased)
            {
                high = Math.BigMul(NextBits(), range, out low);
            }
        }

        return (long)high;
    }

    /// <summary>A whole number from <paramref name="first"/> to <paramref name="last"/>, both included.</summary>
    public int Between(int first, int last) => (int)(first + Below((long)last - first + 1));

    /// <summary>A number from 0 (included) to 1 (excluded), 53 bits fine.</summary>
    public double NextUnit() => (NextBits() >> 11) * (1.0 / (1UL << 53));

    /// <summary>Puts the items into a uniformly random order (Fisher and Yates).</summary>
    public void Shuffle<T>(Span<T> items)
    {
        for (var i = items.Length - 1; i > 0; i--)
        {
            var j = (int)Below(i + 1L);
            (items[i], items[j]) = (items[j], items[i]);
        }
    }

    /// <summary>A string of letters, each any of <paramref name="choices"/>.</summary>
    public string GetString(ReadOnlySpan<char> choices, int length)
    {
        var letters = new char[length];
        foreach (ref var letter in letters.AsSpan())
        {
            letter = choices[(int)Below(choices.Length)];
        }

        return new string(letters);
    }

    /// <summary>Fills <paramref name="chosen"/> with numbers from 0 to <paramref name="count"/> - 1, without repetition, ascending.</summary>
    public void Choose(Span<int> chosen, int count)
    {
        // Knuth's selection sampling (The Art of Computer Programming 2, algorithm S).
        for (int number = 0, taken = 0; taken < chosen.Length; number++)
        {
            if (Below(count - number) < chosen.Length - taken)
            {
                chosen[taken++] = number;
            }
        }
    }

    private static ulong SplitMix(ref ulong state)
    {
        state += 0x9E3779B97F4A7C15;
        return Finish(state);
    }

    private static ulong Mix(ulong value) => Finish(value + 0x9E3779B97F4A7C15);

    private static ulong Finish(ulong z)
    {
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }
}
