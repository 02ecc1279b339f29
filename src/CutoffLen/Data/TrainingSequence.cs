using CutoffLen.Positions;

namespace CutoffLen.Data;

/// <summary>A stretch of a document inside a sequence.</summary>
/// <param name="Document">Index of the document.</param>
/// <param name="Offset">Its token, markers counted, at which the stretch begins.</param>
/// <param name="Length">Tokens.</param>
public readonly record struct DocumentSpan(int Document, long Offset, int Length);

/// <summary>One row of a training batch: T = the cutoff length in tokens.</summary>
/// <param name="Tokens">[T] token ids.</param>
/// <param name="Targets">
/// [T] the token that follows each in its document, or <see cref="Ignore"/>. The row's last token has a target too
/// where its document goes on, so that cutting loses none.
/// </param>
/// <param name="Positions">[T] positions and documents; padding tokens are documents of their own, at position 0.</param>
/// <param name="Padding">Padding tokens, at the end.</param>
/// <param name="Spans">What the row is made of, in order.</param>
public sealed record TrainingSequence(
    int[] Tokens, int[] Targets, TokenPositions Positions, int Padding, IReadOnlyList<DocumentSpan> Spans)
{
    /// <summary>The target of a token that nothing is learned from: Hugging Face's ignore index.</summary>
    public const int Ignore = -100;

    /// <summary>Tokens that something is learned from.</summary>
    public int TargetCount => Targets.Count(target => target != Ignore);
}
