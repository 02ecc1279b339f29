using System.Text.RegularExpressions;
using CutoffLen.Files;
using CutoffLen.Tokenization.Expressions;

namespace CutoffLen.Tokenization.HuggingFace;

/// <summary>One step of cutting text into words; it appends the parts of a piece to a list.</summary>
internal delegate void PreTokenizer(TextPart piece, List<TextPart> parts);

/// <summary>The pre-tokenizer of a tokenizer.json: how text is cut into the words that tokens are found in.</summary>
internal static class PreTokenizers
{
    /// <summary>Matches the words of GPT-2, which ByteLevel cuts out unless use_regex is off.</summary>
    public const string Gpt2 = @"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

    // Rust's is_ascii_punctuation, and Unicode's.
    private const string Punctuation = @"[[:punct:]&&[\p{P}\x00-\x7F]]";

    // Rust's \w, with the joiners.
    private const string RustWord = @"[\w\u200C\u200D]";

    /// <summary>Writes a word in GPT-2's byte alphabet.</summary>
    public static PreTokenizer AsBytes { get; } = (piece, parts) => parts.Add(new TextPart(ByteAlphabet.Encode(piece.Text), piece.First));

    /// <summary>Reads it.</summary>
    /// <returns>The steps, in order; none when the file has no pre-tokenizer.</returns>
    public static IEnumerable<PreTokenizer> Read(JsonPart part) => part.IsNull ? [] : part["type"].Text() switch
    {
        "Sequence" => part["pretokenizers"].Items().SelectMany(Read),
        "ByteLevel" => ReadByteLevel(part),
        "Split" => [Split(Pattern(part["pattern"]), Behavior(part), part["invert"].Flag())],
        "Digits" => [Split(@"\p{N}", part["individual_digits"].Flag() ? SplitDelimiterBehavior.Isolated : SplitDelimiterBehavior.Contiguous)],
        "Punctuation" => [Split(Punctuation, part["behavior"].IsNull ? SplitDelimiterBehavior.Isolated : Behavior(part))],
        "Whitespace" => [Split($"{RustWord}+|[^{RustWord}\\s]+", SplitDelimiterBehavior.Removed, invert: true)],
        "WhitespaceSplit" => [Split(@"\s", SplitDelimiterBehavior.Removed)],
        "BertPreTokenizer" => [Split(@"\s", SplitDelimiterBehavior.Removed), Split(Punctuation, SplitDelimiterBehavior.Isolated)],
        "Metaspace" => [Metaspace(MetaspaceSettings.Read(part))],
        _ => throw new InvalidDataException(
            $"{part.Path} is {part}; supported are ByteLevel, Split, Digits, Punctuation, Whitespace, WhitespaceSplit, BertPreTokenizer, Metaspace and a Sequence of them"),
    };

    /// <summary>Replaces spaces, puts one before the text, and cuts before each.</summary>
    public static PreTokenizer Metaspace(MetaspaceSettings settings) => (piece, parts) =>
    {
        var (space, scheme, split) = settings;
        var text = piece.Text.Replace(' ', space);
        if ((scheme == PrependScheme.Always || (scheme == PrependScheme.First && piece.First)) && !text.StartsWith(space))
        {
            text = space + text;
        }

        var whole = new TextPart(text, piece.First);
        var start = 0;
        for (var next = 1; split && next < text.Length; next++)
        {
            if (text[next] == space)
            {
                AddPart(whole, start, next, parts);
                start = next;
            }
        }

        AddPart(whole, start, text.Length, parts);
    };

    /// <summary>Cuts words out and writes each in GPT-2's byte alphabet.</summary>
    /// <param name="expression">Matches the words.</param>
    public static IEnumerable<PreTokenizer> WordsAsBytes(string expression) => [Split(expression, SplitDelimiterBehavior.Isolated), AsBytes];

    private static IEnumerable<PreTokenizer> ReadByteLevel(JsonPart part)
    {
        if (part["add_prefix_space"].Flag())
        {
            yield return (piece, parts) => parts.Add(piece.Span.StartsWith(' ') ? piece : new TextPart(" " + piece.Text, piece.First));
        }

        if (part["use_regex"].IsNull || part["use_regex"].Flag())
        {
            yield return Split(Gpt2, SplitDelimiterBehavior.Isolated);
        }

        yield return AsBytes;
    }

    private static string Pattern(JsonPart pattern) =>
        pattern["Regex"].Text()
        ?? (pattern["String"].Text() is { } text ? Regex.Escape(text) : throw new InvalidDataException($"{pattern.Path} is {pattern}; allowed is a Regex or a String"));

    private static SplitDelimiterBehavior Behavior(JsonPart part) =>
        Enum.TryParse<SplitDelimiterBehavior>(part["behavior"].Text(), out var behavior) && Enum.IsDefined(behavior) ? behavior : throw new InvalidDataException(
            $"{part["behavior"].Path} is {part["behavior"]}; allowed are {string.Join(", ", Enum.GetNames<SplitDelimiterBehavior>())}");

    private static PreTokenizer Split(string expression, SplitDelimiterBehavior behavior, bool invert = false)
    {
        var regex = new OnigurumaRegex(expression);
        return (piece, parts) =>
        {
            foreach (var (start, end) in SplitDelimiter.Parts(regex.Matches(piece.Span), piece.Length, behavior, invert))
            {
                AddPart(piece, start, end, parts);
            }
        };
    }

    private static void AddPart(TextPart piece, int start, int end, List<TextPart> parts)
    {
        if (end > start)
        {
            parts.Add(piece.Slice(start, end));
        }
    }
}
