using System.Text;
using System.Text.RegularExpressions;
using CutoffLen.Common;
using Microsoft.ML.Tokenizers;

namespace CutoffLen.Tokenization;

/// <summary>
/// Byte-level BPE inside words that regular expressions cut out: LLaMA 3, Qwen 2, GPT-2. It runs in the package's
/// <see cref="BpeTokenizer"/>.
/// </summary>
internal sealed class ByteLevelModel : TokenModel
{
    private readonly BpeTokenizer bpe;
    private readonly bool addPrefixSpace;
    private readonly bool normalizeToC;

    private ByteLevelModel(ByteLevelParts parts)
    {
        (addPrefixSpace, normalizeToC) = (parts.AddPrefixSpace, parts.NormalizeToC);
        bpe = BpeTokenizer.Create(new BpeOptions(parts.Vocabulary)
        {
            ByteLevel = true,
            Merges = parts.Merges,
            PreTokenizer = new RegexWords(parts.Words),
            // The package does not merge inside a word that equals a "special token", which is what ignore_merges means.
            SpecialTokens = parts.IgnoreMerges ? WholeWords(parts.Vocabulary) : null,
        });
    }

    /// <inheritdoc/>
    public override string Kind => "byte-level BPE";

    /// <summary>Builds the model.</summary>
    public static ByteLevelModel Create(ByteLevelParts parts) =>
        new(parts) { Tokens = parts.Vocabulary.ToDictionary(token => token.Value, token => token.Key) };

    /// <summary>The tokens that are text, as text.</summary>
    private static Dictionary<string, int> WholeWords(IReadOnlyDictionary<string, int> vocabulary)
    {
        var words = new Dictionary<string, int>(vocabulary.Count, StringComparer.Ordinal);
        foreach (var (token, id) in vocabulary)
        {
            if (ByteAlphabet.Text(token) is { } word)
            {
                words.TryAdd(word, id);
            }
        }

        return words;
    }

    /// <inheritdoc/>
    public override byte[] Bytes(string token) =>
        // Added tokens may stand in the vocabulary as plain text.
        ByteAlphabet.Decode(token) ?? Encoding.UTF8.GetBytes(token);

    /// <inheritdoc/>
    public override string Normalize(string text, bool first) => normalizeToC ? Nfc.Of(text) : text;

    /// <inheritdoc/>
    public override void Encode(string normalized, List<int> ids)
    {
        var text = addPrefixSpace && !normalized.StartsWith(' ') ? " " + normalized : normalized;
        try
        {
            ids.AddRange(bpe.EncodeToIds(text, considerNormalization: false));
        }
        catch (RegexMatchTimeoutException fault)
        {
            throw new UserException($"the tokenizer's expression {fault.Pattern} does not come to an end on this text", fault);
        }
    }
}

/// <summary>What a byte-level tokenizer.json says.</summary>
internal sealed record ByteLevelParts(
    IReadOnlyDictionary<string, int> Vocabulary,
    IReadOnlyList<string> Merges,
    IReadOnlyList<Regex> Words,
    bool IgnoreMerges,
    bool AddPrefixSpace,
    bool NormalizeToC);
