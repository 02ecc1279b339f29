using System.Runtime.ExceptionServices;
using System.Text;
using CutoffLen.Common;
using static TorchSharp.torch;

namespace CutoffLen.Distributed;

/// <summary>Small things that ranks agree on. Every rank of the group calls the same ones in the same order.</summary>
public static class Agreement
{
    /// <summary>Whether it is true on any rank.</summary>
    public static bool Any(this ICollectives ranks, bool value) => ranks.Sum(value ? 1 : 0) > 0;

    /// <summary>The sum over ranks.</summary>
    public static double Sum(this ICollectives ranks, double value) => ranks.Sum([value])[0];

    /// <summary>The sums over ranks, number by number. A number that is zero on all ranks but one keeps its bits.</summary>
    public static double[] Sum(this ICollectives ranks, double[] values)
    {
        if (ranks.Size == 1 || values.Length == 0)
        {
            return values;
        }

        using var sums = tensor(values);
        ranks.AllReduce(sums);
        return [.. sums.data<double>()];
    }

    /// <summary>The texts of all ranks, by rank.</summary>
    public static string[] Gather(this ICollectives ranks, string text)
    {
        if (ranks.Size == 1)
        {
            return [text];
        }

        var bytes = Encoding.UTF8.GetBytes(text);
        var lengths = new double[ranks.Size];
        lengths[ranks.Rank] = bytes.Length;
        lengths = ranks.Sum(lengths);
        var width = 1 + (int)lengths.Max();
        byte[] padded = [.. bytes, .. new byte[width - bytes.Length]];
        using var shard = tensor(padded);
        using var flat = empty([ranks.Size * (long)width], ScalarType.Byte);
        ranks.AllGather(shard, flat);
        var all = flat.bytes.ToArray();
        return [.. lengths.Select((length, rank) => Encoding.UTF8.GetString(all, rank * width, (int)length))];
    }

    /// <summary>Refuses ranks that would not do the same work.</summary>
    /// <param name="ranks">The ranks.</param>
    /// <param name="facts">What must be the same, in the same order: a setting with its value, the number of documents.</param>
    /// <exception cref="UserException">The first difference.</exception>
    public static void RequireSame(this ICollectives ranks, IEnumerable<string> facts)
    {
        var all = ranks.Gather(string.Join('\n', facts));
        for (var rank = 1; rank < ranks.Size; rank++)
        {
            if (all[0].Split('\n').Zip(all[rank].Split('\n')).FirstOrDefault(pair => pair.First != pair.Second) is ({ } one, { } other))
            {
                throw new UserException($"ranks 0 and {rank} would do different work: {one}, and {other}; every host needs the same files, and dtype and attention may have to be set");
            }
        }
    }

    /// <summary>Does something on rank 0 only. Where it fails there, it fails on every rank.</summary>
    public static void OnFirst(this ICollectives ranks, Action work) => ranks.FromFirst(() =>
    {
        work();
        return [];
    });

    /// <summary>What rank 0 makes, on every rank. Where it fails there, it fails on every rank.</summary>
    public static byte[] FromFirst(this ICollectives ranks, Func<byte[]> make)
    {
        byte[] made = [];
        ExceptionDispatchInfo? failure = null;
        if (ranks.Rank == 0)
        {
            try
            {
                made = make();
            }
            catch (Exception fault) when (ranks.Size > 1)
            {
                failure = ExceptionDispatchInfo.Capture(fault);
            }
        }

        var failed = ranks.Any(failure is not null);
        failure?.Throw();
        if (failed)
        {
            throw new UserException("rank 0 could not go on");
        }

        var length = (long)ranks.Sum(made.Length);
        if (ranks.Size == 1 || length == 0)
        {
            return made;
        }

        using var bytes = ranks.Rank == 0 ? tensor(made) : empty([length], ScalarType.Byte);
        ranks.Broadcast(bytes, 0);
        return bytes.bytes.ToArray();
    }
}
