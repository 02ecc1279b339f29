using System.Text;
using System.Text.RegularExpressions;
using CutoffLen.Common;
using CutoffLen.Tokenization.HuggingFace;

namespace CutoffLen.Tokenization;

/// <summary>
/// tokenizer.model as tiktoken has it, a line "BASE64 RANK" for each token: LLaMA 3's original. It becomes what
/// transformers' TikTokenConverter makes of it, byte-level BPE inside LLaMA 3's words.
/// </summary>
internal static partial class TiktokenFile
{
    // Finding a token's merges takes time quadratic in its length.
    private const int LongestToken = 1024;

    /// <summary>Matches LLaMA 3's words.</summary>
    public const string Words =
        @"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    /// <summary>Whether a file begins with such a line.</summary>
    public static bool IsOne(ReadOnlySpan<byte> file) => Line().IsMatch(Encoding.Latin1.GetString(file[..Math.Min(file.Length, LongestToken)]));

    /// <summary>Reads the file.</summary>
    /// <param name="bytes">Its content.</param>
    /// <param name="path">Its name in error messages.</param>
    public static TokenizerDefinition Read(byte[] bytes, string path)
    {
        var ranks = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (var (number, line) in Encoding.Latin1.GetString(bytes).Split('\n', StringSplitOptions.RemoveEmptyEntries).Index())
        {
            if (!(line.TrimEnd('\r').Split(' ') is [var base64, var rank]
                && Decode(base64) is { } token && int.TryParse(rank, out var id) && id >= 0 && ranks.TryAdd(token, id)))
            {
                throw new UserException($"{path}: line {number + 1} is no token of tiktoken's form \"BASE64 RANK\", or one that came before");
            }
        }

        return ranks.Values.Distinct().Count() == ranks.Count
            ? new TokenizerDefinition("byte-level BPE of tiktoken", [], [.. PreTokenizers.WordsAsBytes(Words)], new BpeModel(ranks, Merges(ranks), new BpeRules()), [Decoders.ByteLevel])
            : throw new UserException($"{path}: two tokens have the same rank");
    }

    /// <summary>The token in GPT-2's byte alphabet; null for what is no base64.</summary>
    private static string? Decode(string base64)
    {
        var bytes = new byte[base64.Length];
        return Convert.TryFromBase64String(base64, bytes, out var length) && length is > 0 and <= LongestToken
            ? string.Concat(bytes.Take(length).Select(value => ByteAlphabet.Characters[value]))
            : null;
    }

    /// <summary>Every two tokens that make a third, by its rank, then by their own ranks.</summary>
    private static List<(string Left, string Right)> Merges(Dictionary<string, int> ranks)
    {
        var lookup = ranks.GetAlternateLookup<ReadOnlySpan<char>>();
        var merges = new List<(int Rank, int LeftRank, int RightRank, string Token, int Cut)>();
        foreach (var (token, rank) in ranks)
        {
            for (var cut = 1; cut < token.Length; cut++)
            {
                if (lookup.TryGetValue(token.AsSpan(0, cut), out var left) && lookup.TryGetValue(token.AsSpan(cut), out var right))
                {
                    merges.Add((rank, left, right, token, cut));
                }
            }
        }

        merges.Sort((a, b) => (a.Rank, a.LeftRank, a.RightRank).CompareTo((b.Rank, b.LeftRank, b.RightRank)));
        return merges.ConvertAll(merge => (merge.Token[..merge.Cut], merge.Token[merge.Cut..]));
    }

    [GeneratedRegex(@"\A[A-Za-z0-9+/]+={0,2} [0-9]+\r?\n")]
    private static partial Regex Line();
}
