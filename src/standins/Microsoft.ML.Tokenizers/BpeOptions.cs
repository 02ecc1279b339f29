using System.Text.Json;

namespace Microsoft.ML.Tokenizers;

/// <summary>What a <see cref="BpeTokenizer"/> is made of.</summary>
public sealed class BpeOptions
{
    /// <summary>Options with this vocabulary.</summary>
    /// <exception cref="ArgumentNullException"><paramref name="vocabulary"/> is null.</exception>
    public BpeOptions(IEnumerable<KeyValuePair<string, int>> vocabulary)
    {
        ArgumentNullException.ThrowIfNull(vocabulary);
        Vocabulary = vocabulary;
    }

    /// <summary>Options with the vocabulary and merges of GPT-2's two files.</summary>
    /// <param name="vocabFile">A JSON object of tokens and ids (vocab.json).</param>
    /// <param name="mergesFile">Two tokens a line, the first line merges first (merges.txt). Null for no merges.</param>
    /// <exception cref="ArgumentException">A file is not there.</exception>
    /// <exception cref="JsonException">The vocabulary is not a JSON object of integers.</exception>
    /// <exception cref="InvalidOperationException">A line of the merges is not two tokens and one space.</exception>
    public BpeOptions(string vocabFile, string? mergesFile = null)
    {
        ArgumentNullException.ThrowIfNull(vocabFile);
        using var vocabulary = Open(vocabFile, "vocabulary");
        Vocabulary = JsonSerializer.Deserialize<Dictionary<string, int>>(vocabulary)
            ?? throw new InvalidOperationException($"The content of the vocabulary file '{vocabFile}' is not valid.");
        if (mergesFile is not null)
            Merges = ReadMerges(mergesFile);
    }

    /// <summary>Tokens and ids.</summary>
    public IEnumerable<KeyValuePair<string, int>> Vocabulary { get; }

    /// <summary>Pairs of tokens to merge, each as two tokens and one space between; the first merges first.</summary>
    public IEnumerable<string>? Merges { get; set; }

    /// <summary>Words that become these ids whole, and ids that decode to these strings. The pre-tokenizer has to cut them out.</summary>
    public IReadOnlyDictionary<string, int>? SpecialTokens { get; set; }

    /// <summary>Rewrites the text first.</summary>
    public Normalizer? Normalizer { get; set; }

    /// <summary>Cuts the text into words; null for <see cref="PreTokenizer.CreateWordOrNonWord"/>.</summary>
    public PreTokenizer? PreTokenizer { get; set; }

    /// <summary>The token of characters that the vocabulary lacks; null: such characters vanish.</summary>
    public string? UnknownToken { get; set; }

    /// <summary>Whether a run of unknown characters is one unknown token.</summary>
    public bool FuseUnknownTokens { get; set; }

    /// <summary>Whether the vocabulary is written in GPT-2's byte alphabet and text is encoded as UTF-8 bytes.</summary>
    public bool ByteLevel { get; set; }

    private static FileStream Open(string file, string what) =>
        File.Exists(file) ? File.OpenRead(file) : throw new ArgumentException($"Could not find the {what} file '{file}'.");

    private static List<string> ReadMerges(string file)
    {
        using var reader = new StreamReader(Open(file, "merges"));
        var merges = new List<string>();
        for (var number = 1; reader.ReadLine() is { } line; number++)
        {
            if (line.Length == 0 || line.StartsWith("#version", StringComparison.Ordinal))
                continue;
            if (!IsMerge(line))
                throw new InvalidOperationException($"Invalid merge file format at line: {number}");
            merges.Add(line);
        }
        return merges;
    }

    internal static bool IsMerge(string line)
    {
        var space = line.IndexOf(' ');
        return space >= 0 && space < line.Length - 1 && line.LastIndexOf(' ') == space;
    }
}
