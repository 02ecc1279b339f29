namespace CutoffLen.Tokenization.HuggingFace;

/// <summary>A part of a text on its way to tokens.</summary>
/// <param name="Source">What it is a part of; normalized or not.</param>
/// <param name="Start">Where it begins.</param>
/// <param name="Length">Its characters.</param>
/// <param name="First">Whether the text begins with it.</param>
internal readonly record struct TextPart(string Source, int Start, int Length, bool First)
{
    /// <summary>All of a text.</summary>
    public TextPart(string text, bool first)
        : this(text, 0, text.Length, first)
    {
    }

    /// <summary>The characters.</summary>
    public ReadOnlySpan<char> Span => Source.AsSpan(Start, Length);

    /// <summary>The characters.</summary>
    public string Text => Length == Source.Length ? Source : Source.Substring(Start, Length);

    /// <summary>A part of it.</summary>
    public TextPart Slice(int start, int end) => new(Source, Start + start, end - start, First && start == 0);
}
