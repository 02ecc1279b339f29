using CutoffLen.Positions;

namespace CutoffLen.Data;

/// <summary>A part of a document inside a sequence.</summary>
/// <param name="Document">Index of the document.</param>
/// <param name="Offset">Its token, special tokens counted, at which the span begins.</param>
/// <param name="Length">Tokens.</param>
public readonly record struct DocumentSpan(int Document, long Offset, int Length);

/// <summary>One row of a training batch: T = the cutoff length in tokens.</summary>
/// <param name="Tokens">[T] token ids.</param>
/// <param name="Targets">
/// [T] the token that follows each in its document, or <see cref="Ignore"/>, as for the tokens of a prompt. The row's last token has a target too where
/// its document goes on, so that cutting loses no target.
/// </param>
/// <param name="Positions">[T] positions and documents; padding tokens are documents of their own, at position 0.</param>
/// <param name="Padding">The number of padding tokens, at the end.</param>
/// <param name="Spans">What the row is made of, in order.</param>
public sealed record TrainingSequence(
    int[] Tokens, int[] Targets, TokenPositions Positions, int Padding, IReadOnlyList<DocumentSpan> Spans)
{
    /// <summary>The target of a token without loss: Hugging Face's ignore index.</summary>
    public const int Ignore = -100;

    /// <summary>Tokens with a target.</summary>
    public int TargetCount => Targets.Count(target => target != Ignore);
}
