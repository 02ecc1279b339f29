namespace CutoffLen.Evaluation.Protocols;

/// <summary>
/// One forward that a protocol asks for, in token indices of a text: the model reads the tokens
/// <c>Start .. InputEnd - 1</c> and the tokens <c>FirstTarget .. TargetEnd - 1</c> are scored, each by what the model
/// predicts after the token before it.
/// </summary>
/// <param name="Start">Index of the first token that the model reads.</param>
/// <param name="InputEnd">One past the last token that the model reads.</param>
/// <param name="FirstTarget">Index of the first scored token, above Start.</param>
/// <param name="TargetEnd">One past the last scored token, at most InputEnd + 1.</param>
/// <param name="BosFirst">Whether the model reads a BOS token in place of the token at Start.</param>
public readonly record struct ScoredWindow(int Start, int InputEnd, int FirstTarget, int TargetEnd, bool BosFirst = false)
{
    /// <summary>Tokens that the model reads.</summary>
    public int Length => InputEnd - Start;

    /// <summary>Tokens scored.</summary>
    public int Targets => TargetEnd - FirstTarget;
}

/// <summary>What is averaged before the exponential is taken.</summary>
public enum Averaging
{
    /// <summary>Every scored token counts the same.</summary>
    Tokens,

    /// <summary>The mean of each window's mean: every window counts the same, however many tokens it scores.</summary>
    Windows,

    /// <summary>The mean of each text's mean: every text counts the same.</summary>
    Texts,
}

/// <summary>What stands before a text's own tokens.</summary>
public enum TextStart
{
    /// <summary>What the checkpoint's tokenizer puts there: a BOS token or nothing.</summary>
    AsTokenized,

    /// <summary>A BOS token wherever the vocabulary has one, whether the tokenizer adds it by itself or not.</summary>
    Bos,

    /// <summary>A BOS token, or EOS where the vocabulary has no BOS, so that the first token is scored too.</summary>
    BosOrEos,
}
