using CutoffLen.Positions;

namespace CutoffLen.Data;

/// <summary>Tokens trained at positions from <paramref name="From"/> to below <paramref name="To"/>.</summary>
/// <param name="From">The first position.</param>
/// <param name="To">The position after the last.</param>
/// <param name="Tokens">Tokens with a target that stood there.</param>
public sealed record PositionBucket(int From, int To, long Tokens);

/// <summary>
/// What a run has trained so far: tokens with a target, by their position id. Part of the run's checkpoints, so that the
/// count goes on after a resume.
/// </summary>
/// <param name="Sequences">Sequences seen.</param>
/// <param name="Targets">Tokens with a target.</param>
/// <param name="BeyondNative">Of these, at positions beyond the native length.</param>
/// <param name="Positions">
/// All of them by position: buckets end at powers of two from 64 up, and at the native length.
/// </param>
public sealed record TrainedCounts(long Sequences, long Targets, long BeyondNative, IReadOnlyList<PositionBucket> Positions)
{
    private const int FirstEnd = 64;

    /// <summary>Nothing yet, of positions below <paramref name="reach"/>.</summary>
    public static TrainedCounts None(int native, int reach)
    {
        var ends = new SortedSet<int> { reach };
        for (long end = FirstEnd; end < reach; end *= 2)
        {
            ends.Add((int)end);
        }

        if (native < reach)
        {
            ends.Add(native);
        }

        int[] from = [0, .. ends.SkipLast(1)];
        return new TrainedCounts(0, 0, 0, [.. from.Zip(ends, (first, end) => new PositionBucket(first, end, 0))]);
    }

    /// <summary>The counts with one more sequence.</summary>
    /// <param name="sequence">The sequence.</param>
    /// <param name="positions">The positions its tokens were trained at.</param>
    /// <param name="native">The native length.</param>
    public TrainedCounts With(TrainingSequence sequence, TokenPositions positions, int native)
    {
        var added = new long[Positions.Count];
        var (targets, beyond, bucket) = (0L, 0L, 0);
        for (var t = 0; t < sequence.Targets.Length; t++)
        {
            if (sequence.Targets[t] == TrainingSequence.Ignore)
            {
                continue;
            }

            var id = positions.Ids[t];
            targets++;
            beyond += id >= native ? 1 : 0;
            while (id < Positions[bucket].From)
            {
                bucket--;
            }

            while (id >= Positions[bucket].To)
            {
                bucket++;
            }

            added[bucket]++;
        }

        return new TrainedCounts(
            Sequences + 1, Targets + targets, BeyondNative + beyond,
            [.. Positions.Select((counted, b) => counted with { Tokens = counted.Tokens + added[b] })]);
    }
}
