using System.Runtime.InteropServices;
using System.Text;

namespace Microsoft.ML.Tokenizers;

/// <summary>Turns the ids of a SentencePiece model into text.</summary>
internal sealed class SentencePieceDecoder
{
    private readonly List<Piece> pieces;
    private readonly ByteIds bytes;
    private readonly SentencePieceNormalizer normalizer;
    private readonly Dictionary<int, string> specialTokens;

    public SentencePieceDecoder(SentencePieceModel model, ByteIds bytes, SentencePieceNormalizer normalizer, IReadOnlyDictionary<string, int>? specialTokens)
    {
        (pieces, this.bytes, this.normalizer) = (model.Pieces, bytes, normalizer);
        this.specialTokens = specialTokens?.ToDictionary(token => token.Value, token => token.Key) ?? [];
        // Where two have one id, the first of them stands.
        this.specialTokens[model.Trainer.UnknownId] = model.Trainer.UnknownPiece;
        this.specialTokens[model.Trainer.EndOfSentenceId] = model.Trainer.EndOfSentencePiece;
        this.specialTokens[model.Trainer.BeginningOfSentenceId] = model.Trainer.BeginningOfSentencePiece;
    }

    /// <summary>The text of ids; those outside the vocabulary have none.</summary>
    public string Decode(IEnumerable<int> ids, bool considerSpecialTokens)
    {
        ArgumentNullException.ThrowIfNull(ids);
        var text = new StringBuilder();
        var characterBytes = new List<byte>();
        var isFirstPiece = true;
        var lastSpace = -1;
        foreach (var id in ids)
        {
            if (bytes.InUse && id >= bytes.First && id <= bytes.Last)
            {
                characterBytes.Add((byte)(id - bytes.First));
                continue;
            }
            Flush(characterBytes, text);
            if (specialTokens.TryGetValue(id, out var special))
                text.Append(considerSpecialTokens ? special : "");
            else if (id >= bytes.First && id < pieces.Count && pieces[id].Text is { Length: > 0 } piece)
            {
                text.Append(isFirstPiece && HasAddedPrefix(piece) ? piece[1..] : piece);
                isFirstPiece = false;
                if (piece[^1] == normalizer.Space)
                    lastSpace = text.Length - 1;
            }
        }
        Flush(characterBytes, text);
        if (normalizer.AddDummyPrefix && normalizer.TreatWhitespaceAsSuffix && lastSpace >= 0)
            text.Remove(lastSpace, 1);
        return (normalizer.EscapeWhiteSpaces ? text.Replace(SentencePieceNormalizer.EscapedSpace, ' ') : text).ToString();
    }

    private bool HasAddedPrefix(string piece) =>
        normalizer.AddDummyPrefix && !normalizer.TreatWhitespaceAsSuffix && piece[0] == normalizer.Space;

    // What is no valid UTF-8 becomes U+FFFD.
    private static void Flush(List<byte> characterBytes, StringBuilder text)
    {
        if (characterBytes.Count == 0)
            return;
        text.Append(Encoding.UTF8.GetString(CollectionsMarshal.AsSpan(characterBytes)));
        characterBytes.Clear();
    }
}
