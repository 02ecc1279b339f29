namespace CutoffLen.Positions.Spec;

/// <summary>Keys that several methods share.</summary>
internal static class CommonKeys
{
    /// <summary>No method is asked to stretch further: 65536 times 256 tokens is the longest length of all.</summary>
    public const double LargestFactor = 65536;

    /// <summary>The native length, unless another is given.</summary>
    public static SpecKey Original { get; } = SpecKey
        .Tokens("original", 1, null, "length the model was trained at, in tokens")
        .DefaultsTo("the native length", (_, model, _) => model.NativeLength);

    /// <summary>How many times longer than the original length.</summary>
    public static SpecKey Factor { get; } = SpecKey
        .Number("factor", 1, LargestFactor, null, "how many times longer the context becomes")
        .DefaultsTo("target / native length, at least 1", (part, model, target) =>
            (target ?? 0) / (double)(part.Has("original") ? part.Tokens("original") : model.NativeLength));

    /// <summary>A factor that is 1 unless given.</summary>
    public static SpecKey FactorOfOne(string meaning) => SpecKey.Number("factor", 1, LargestFactor, 1, meaning);
}
