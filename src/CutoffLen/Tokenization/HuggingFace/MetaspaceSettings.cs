using CutoffLen.Files;

namespace CutoffLen.Tokenization.HuggingFace;

/// <summary>Where a space is put before a text that has none there.</summary>
internal enum PrependScheme
{
    /// <summary>Before every piece between added tokens.</summary>
    Always,

    /// <summary>At the beginning of the text.</summary>
    First,

    /// <summary>Nowhere.</summary>
    Never,
}

/// <summary>The settings of a Metaspace, which is both a pre-tokenizer and a decoder.</summary>
/// <param name="Replacement">What stands for a space.</param>
/// <param name="Scheme">Where a space is put.</param>
/// <param name="Split">Whether each space begins a word.</param>
internal sealed record MetaspaceSettings(char Replacement, PrependScheme Scheme, bool Split)
{
    /// <summary>Reads them.</summary>
    public static MetaspaceSettings Read(JsonPart part)
    {
        var replacement = part["replacement"].Text() ?? "\u2581";

        // Before 2023 there was only a flag.
        var scheme = part["prepend_scheme"].Text() ?? (part["add_prefix_space"].IsNull || part["add_prefix_space"].Flag() ? "always" : "never");
        return new MetaspaceSettings(
            replacement.Length == 1 ? replacement[0] : throw new InvalidDataException($"{part["replacement"].Path} is {part["replacement"]}; allowed is one character"),
            scheme switch
            {
                "always" => PrependScheme.Always,
                "first" => PrependScheme.First,
                "never" => PrependScheme.Never,
                _ => throw new InvalidDataException($"{part["prepend_scheme"].Path} is {part["prepend_scheme"]}; allowed are always, first and never"),
            },
            part["split"].IsNull || part["split"].Flag());
    }
}
