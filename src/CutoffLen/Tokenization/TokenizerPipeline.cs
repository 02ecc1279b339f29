using System.Text.RegularExpressions;
using CutoffLen.Files;

namespace CutoffLen.Tokenization;

/// <summary>The normalizer and the pre-tokenizer of a tokenizer.json, as far as LLaMA-type tokenizers have them.</summary>
internal sealed partial class TokenizerPipeline
{
    private const string Gpt2 = @"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
    private const string Llama3 = @"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
    private const string Qwen2 = @"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    // A hostile expression from a file may take exponential time.
    private static readonly TimeSpan MatchTimeout = TimeSpan.FromSeconds(5);

    private readonly List<Regex> words = [];

    /// <summary>Whether there is a normalizer, before the pre-tokenizer.</summary>
    public bool HasNormalizer { get; private set; }

    /// <summary>Whether text is encoded as bytes in GPT-2's alphabet.</summary>
    public bool ByteLevel { get; private set; }

    /// <summary>Byte-level: a space is put before text that begins with none.</summary>
    public bool AddPrefixSpace { get; private set; }

    /// <summary>Whether text is normalized to NFC.</summary>
    public bool NormalizeToC { get; private set; }

    /// <summary>Expressions that cut words, to be applied one after the other.</summary>
    public IReadOnlyList<Regex> Words => words;

    /// <summary>Not byte-level: how spaces are treated.</summary>
    public Whitespace Whitespace { get; private set; } = new(SpacePrefix.Never);

    /// <summary>Reads both parts of the file.</summary>
    public static TokenizerPipeline Read(JsonPart root)
    {
        var pipeline = new TokenizerPipeline();
        var escapes = false;
        foreach (var step in Steps(root["normalizer"], "normalizers"))
        {
            pipeline.ReadNormalizer(step, ref escapes);
        }

        foreach (var step in Steps(root["pre_tokenizer"], "pretokenizers"))
        {
            pipeline.ReadPreTokenizer(step, ref escapes);
        }

        if (pipeline.ByteLevel == escapes || (escapes && (pipeline.words.Count > 0 || pipeline.NormalizeToC)))
        {
            throw new InvalidDataException(
                "normalizer and pre_tokenizer must be either of the byte-level kind (LLaMA 3) or replace spaces by U+2581 (LLaMA 2)");
        }

        return pipeline;
    }

    private static IEnumerable<JsonPart> Steps(JsonPart part, string key) =>
        part.IsNull ? [] : part["type"].Text() == "Sequence" ? part[key].Items() : [part];

    private void ReadNormalizer(JsonPart step, ref bool escapes)
    {
        HasNormalizer = true;
        switch (step["type"].Text())
        {
            case "NFC":
                Nfc.Require();
                NormalizeToC = true;
                break;
            case "Prepend" when step["prepend"].Text() == "\u2581" && !escapes:
                Whitespace = new Whitespace();
                break;
            case "Replace" when step["pattern"]["String"].Text() == " " && step["content"].Text() == "\u2581":
                escapes = true;
                break;
            default:
                throw new InvalidDataException($"{step.Path} is {step}; supported are NFC, Prepend of U+2581 and Replace of spaces by it");
        }
    }

    private void ReadPreTokenizer(JsonPart step, ref bool escapes)
    {
        switch (step["type"].Text())
        {
            case "ByteLevel":
                ByteLevel = true;
                AddPrefixSpace = step["add_prefix_space"].Flag() && words.Count == 0
                    ? true
                    : !step["add_prefix_space"].Flag() ? false : throw new InvalidDataException($"{step.Path} adds a space before each word");
                if (step["use_regex"].IsNull || step["use_regex"].Flag())
                {
                    words.Add(Gpt2Words());
                }

                break;
            case "Split" when step["behavior"].Text() == "Isolated" && !step["invert"].Flag():
                words.Add(Expression(step["pattern"]));
                break;
            case "Digits":
                words.Add(step["individual_digits"].Flag() ? Digit() : Digits());
                break;
            case "Metaspace" when (step["replacement"].Text() ?? "\u2581") == "\u2581" && !escapes:
                escapes = true;
                Whitespace = ReadMetaspace(step);
                break;
            default:
                throw new InvalidDataException($"{step.Path} is {step}; supported are ByteLevel, Split (Isolated), Digits and Metaspace");
        }
    }

    private static Whitespace ReadMetaspace(JsonPart step)
    {
        // Before 2023 there was only a flag.
        var scheme = step["prepend_scheme"].Text() ?? (step["add_prefix_space"].IsNull || step["add_prefix_space"].Flag() ? "always" : "never");
        var prefix = scheme switch
        {
            "always" => SpacePrefix.AlwaysUnlessThere,
            "first" => SpacePrefix.FirstUnlessThere,
            "never" => SpacePrefix.Never,
            _ => throw new InvalidDataException($"{step.Path} is {step}; prepend_scheme may be always, first or never"),
        };
        return new Whitespace(prefix, SplitRuns: step["split"].IsNull || step["split"].Flag());
    }

    private static Regex Expression(JsonPart pattern)
    {
        if (pattern["String"].Text() is { Length: > 0 } text)
        {
            return new Regex(Regex.Escape(text), RegexOptions.CultureInvariant);
        }

        // Source-generated for the usual tokenizers, which starts faster.
        return pattern["Regex"].Text() switch
        {
            null => throw new InvalidDataException($"{pattern.Path} is {pattern}; allowed is a Regex or a String"),
            Llama3 => Llama3Words(),
            Qwen2 => Qwen2Words(),
            var expression => new Regex(expression, RegexOptions.Compiled | RegexOptions.CultureInvariant, MatchTimeout),
        };
    }

    [GeneratedRegex(Gpt2, RegexOptions.CultureInvariant)]
    private static partial Regex Gpt2Words();

    [GeneratedRegex(Llama3, RegexOptions.CultureInvariant)]
    private static partial Regex Llama3Words();

    [GeneratedRegex(Qwen2, RegexOptions.CultureInvariant)]
    private static partial Regex Qwen2Words();

    [GeneratedRegex(@"\p{N}", RegexOptions.CultureInvariant)]
    private static partial Regex Digit();

    [GeneratedRegex(@"\p{N}+", RegexOptions.CultureInvariant)]
    private static partial Regex Digits();
}
