using CutoffLen.Files;
using CutoffLen.Tokenization;
using CutoffLen.Tokenization.HuggingFace;

namespace CutoffLen.Checkpoints.Gguf;

/// <summary>llama.cpp's names of what cuts text into words of bytes (src/llama-vocab.cpp, llm_tokenizer_bpe).</summary>
internal static class GgufPreTokenizers
{
    private const string Digit = @"\p{N}";
    private const string Qwen2Words = @"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
    private const string TekkenWords =
        @"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    /// <summary>By the expressions, a line each, and by whether a word that is a token is taken whole.</summary>
    private static readonly Dictionary<(string Expressions, bool IgnoreMerges), string> ByExpressions = new()
    {
        [(TiktokenFile.Words, true)] = "llama-bpe",
        [(TiktokenFile.Words, false)] = "smaug-bpe",
        [(Qwen2Words, false)] = "qwen2",
        [(TekkenWords, true)] = "tekken",
        [($"{Digit}\n{PreTokenizers.Gpt2}", false)] = "smollm",
        [(PreTokenizers.Gpt2, false)] = "gpt-2",
    };

    /// <summary>Every name that can be given.</summary>
    public static IEnumerable<string> Names => ByExpressions.Values;

    /// <summary>The expressions of a name, and whether a word that is a token is taken whole; null for a name that is not here.</summary>
    public static (string[] Expressions, bool IgnoreMerges)? Find(string name) => ByExpressions.Where(words => words.Value == name)
        .Select(words => ((string[], bool)?)(words.Key.Expressions.Split('\n'), words.Key.IgnoreMerges)).FirstOrDefault();

    /// <summary>The name of a tokenizer.json's pre-tokenizer; null where llama.cpp has none, or cuts words otherwise.</summary>
    /// <param name="steps">Its steps.</param>
    /// <param name="ignoreMerges">model.ignore_merges.</param>
    public static string? Name(IEnumerable<JsonPart> steps, bool ignoreMerges)
    {
        var expressions = steps.SelectMany(Expressions).ToList();
        return expressions.Contains(null) ? null : ByExpressions.GetValueOrDefault((string.Join('\n', expressions), ignoreMerges));
    }

    // An expression whose matches are kept apart, and one around which all else is removed, are the same: those above match all of a text.
    private static IEnumerable<string?> Expressions(JsonPart step) => step["type"].Text() switch
    {
        "Split" when (step["behavior"].Text(), step["invert"].Flag()) is ("Isolated", false) or ("Removed", true) => [step["pattern"]["Regex"].Text()],
        "Digits" when step["individual_digits"].Flag() => [Digit],
        "ByteLevel" when !step["add_prefix_space"].Flag() => step["use_regex"].IsNull || step["use_regex"].Flag() ? [PreTokenizers.Gpt2] : [],
        _ => [null],
    };
}
