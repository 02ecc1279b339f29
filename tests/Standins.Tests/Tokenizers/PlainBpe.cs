using System.Text;
using Microsoft.ML.Tokenizers;

namespace Standins.Tests.Tokenizers;

/// <summary>
/// The plainest BPE there is: look at all pairs, join the best, begin again. Ranks as SentencePiece has them: a pair may
/// be joined when the two together are a token, the higher the token's score the sooner.
/// </summary>
internal sealed class PlainBpe(IReadOnlyDictionary<string, float> scores, bool lastOfEqualsFirst)
{
    public static PlainBpe Of(ModelFile model, bool lastOfEqualsFirst) =>
        new(model.Pieces.Where(piece => piece.Type is 1 or 4).ToDictionary(piece => piece.Text, piece => piece.Score), lastOfEqualsFirst);

    public List<string> Encode(string text)
    {
        var symbols = new List<string>();
        for (var i = 0; i < text.Length; i += symbols[^1].Length)
            symbols.Add(i + 1 < text.Length && char.IsSurrogatePair(text[i], text[i + 1]) ? text.Substring(i, 2) : text.Substring(i, 1));
        while (Best(symbols) is { } at)
        {
            symbols[at] += symbols[at + 1];
            symbols.RemoveAt(at + 1);
        }
        return symbols;
    }

    /// <summary>The ids of symbols, bytes where the vocabulary lacks them.</summary>
    public static IEnumerable<int> IdsOf(IEnumerable<string> symbols, LlamaTokenizer tokenizer) =>
        symbols.SelectMany(symbol => tokenizer.Vocabulary.TryGetValue(symbol, out var id)
            ? [id]
            : Encoding.UTF8.GetBytes(symbol).Select(value => tokenizer.Vocabulary["<0x00>"] + value));

    private int? Best(List<string> symbols)
    {
        int? best = null;
        var bestScore = float.NegativeInfinity;
        for (var i = 0; i + 1 < symbols.Count; i++)
            if (scores.TryGetValue(symbols[i] + symbols[i + 1], out var score)
                && (best is null || score > bestScore || (score == bestScore && lastOfEqualsFirst)))
                (best, bestScore) = (i, score);
        return best;
    }
}
