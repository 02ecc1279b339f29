namespace CutoffLen.Evaluation.Protocols;

/// <summary>
/// <c>prefix</c>: the first L tokens of each text in one window, all scored, averaged per token. For a method that does
/// not look at the length, the forward of the longest prefix gives every shorter one.
/// </summary>
public sealed class Prefix : PerplexityProtocol
{
    /// <inheritdoc/>
    public override string Name => "prefix";

    /// <inheritdoc/>
    public override string Definition => "the first tokens of each text up to the length, all scored; mean per token";

    /// <inheritdoc/>
    public override Averaging Averaging => Averaging.Tokens;

    /// <inheritdoc/>
    protected override IEnumerable<ScoredWindow> Plan(int tokens, int length) => [new ScoredWindow(0, length, 1, length)];
}
