namespace CutoffLen.Evaluation.Protocols;

/// <summary>
/// <c>longlora-all</c>: windows of length L that advance by S = 256, every token of every window scored (so most tokens
/// L / S times, each time with another context); the mean of the windows' means.
/// </summary>
/// <remarks>
/// dvlab-research/LongLoRA eval.py (arXiv 2309.12307), also used by LCEG: windows begin at 0, S, 2S, ... below N - L and
/// the last of these is dropped, so a text needs more than L + S tokens to give a window. (The script averages the
/// batches' means, which is the same at its batch size 1, and takes 2.71828 for e, a relative difference of 7e-7 times
/// the loss.)
/// </remarks>
public sealed class LongLoraAll(int stride = LongLoraAll.StandardStride) : PerplexityProtocol
{
    /// <summary>The script's stride, in tokens.</summary>
    public const int StandardStride = 256;

    /// <inheritdoc/>
    public override string Name => stride == StandardStride ? "longlora-all" : $"longlora-all-s{stride}";

    /// <inheritdoc/>
    public override string Definition => $"windows of the length, stride {stride}; all tokens of every window are scored; mean of the windows' means";

    /// <inheritdoc/>
    public override Averaging Averaging => Averaging.Windows;

    /// <inheritdoc/>
    protected override IEnumerable<ScoredWindow> Plan(int tokens, int length)
    {
        for (var start = 0; start + stride < tokens - length; start += stride)
        {
            yield return new ScoredWindow(start, start + length, start + 1, start + length);
        }
    }
}
