using CutoffLen.Evaluation.Scoring;

namespace CutoffLen.Tests.Evaluation;

/// <summary>
/// A scorer whose NLL is a known function of the tokens read before the target (all of them, in order), of the target,
/// and, for a length-dependent one, of how many tokens are read in all.
/// </summary>
internal sealed class FakeScorer(bool dependsOnLength = false) : INllScorer
{
    public bool DependsOnLength => dependsOnLength;

    public List<int[]> BatchLengths { get; } = [];

    /// <summary>Called before each batch, so that a test can stop the sweep there.</summary>
    public Action<int>? BeforeBatch { get; init; }

    public long TokensRead => BatchLengths.Sum(lengths => lengths.Sum(n => (long)n));

    /// <summary>The NLL of a target after these tokens in a forward of <paramref name="length"/> tokens.</summary>
    public float Nll(ReadOnlySpan<int> context, int target, int length)
    {
        var hash = 2166136261u;
        foreach (var token in context)
        {
            hash = Mix(hash, token);
        }

        return Value(hash, target, length);
    }

    public float[][] Nll(IReadOnlyList<ScoringRequest> batch)
    {
        BeforeBatch?.Invoke(BatchLengths.Count);
        Assert.Single(batch.Select(request => request.Inputs.Length).Distinct());
        BatchLengths.Add([.. batch.Select(request => request.Inputs.Length)]);
        return [.. batch.Select(Nll)];
    }

    private static uint Mix(uint hash, int token) => (hash ^ (uint)token) * 16777619;

    private float[] Nll(ScoringRequest request)
    {
        var hashes = new uint[request.Inputs.Length];
        for (var i = 0; i < hashes.Length; i++)
        {
            hashes[i] = Mix(i == 0 ? 2166136261u : hashes[i - 1], request.Inputs[i]);
        }

        return [.. request.Positions.Zip(request.Targets, (p, target) => Value(hashes[p], target, request.Inputs.Length))];
    }

    private float Value(uint hash, int target, int length)
    {
        hash = Mix(hash, target);
        hash = dependsOnLength ? Mix(hash, length) : hash;
        return (hash >> 8) / (float)(1 << 24) * 5;
    }
}
